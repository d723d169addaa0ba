package main

func Example() {
	main()
	// Output:
	// 田中, urgent: true
	// 1 × Berserk 1
	// 1 × Berserk 2
	// 2 × Monster 5
	// 2 rounds, 289 tokens, $0.0005599
}
