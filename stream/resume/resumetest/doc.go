// Package resumetest is the conformance suite for implementations of
// [resume.Log].
//
//	func TestConformance(t *testing.T) {
//		resumetest.Run(t, func(t *testing.T) resume.Log { return mylog.New(server) })
//	}
package resumetest
