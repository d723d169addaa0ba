package main

func Example() {
	main()
	// Output:
	// Tokyo, streamed:
	//   Yes, to forty countries, in one to two weeks.  [asked the model, $0.0000847]
	// Tokyo again:
	//   Yes, to forty countries, in one to two weeks.  [from the cache, $0]
	// Tokyo again, streamed:
	//   Yes, to forty countries, in one to two weeks.  [from the cache, $0]
	// Osaka, which is another tenant:
	//   Yes, to forty countries, in one to two weeks.  [asked the model, $0.0000847]
	// Ten customers of Osaka at once:
	//   10 answers, 1 paid for, $0.0000561
	//
	// 3 answers were paid for, 11 were not
	// osaka saved 243 tokens, $0.0005049
	// tokyo saved 66 tokens, $0.0001694
}
