// Package lambdatest runs a Lambda function in a test: the program itself, in a
// process of its own, as Lambda would.
//
//	func TestMain(m *testing.M) {
//		lambdatest.Run(main)
//		goleak.VerifyTestMain(m)
//	}
//
//	func TestAnswer(t *testing.T) {
//		f := lambdatest.Start(t, "MANGA_BEDROCK=fake")
//		result := f.Invoke(lambdatest.Event[events.SNSEvent](t, "sns-event.json"))
//		…
//	}
//
// The process is this test's own program, which [Run] turns into the function. It
// gets events from a small Lambda Runtime API in the test, which sees the pieces of
// a response as they are sent.
//
// With LAMBDA_RIE, the path of AWS's Runtime Interface Emulator, that emulator runs
// the function instead, and with LAMBDA_BUILDS, a folder of programs, the one with
// the name of the package's folder. The emulator sends a response at its end.
package lambdatest
