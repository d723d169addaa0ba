package main

func Example() {
	main()
	// Output:
	// ワンピース (One Piece) by Eiichiro Oda: pirates, friendship and a very long voyage.
	// 36 tokens for $0.0001364
}
