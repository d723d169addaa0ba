package main

func Example() {
	main()
	// Output:
	// Let me look.
	// [round 1: tool_use, 209 tokens, $0.0004103]
	//   check_stock({"title":"Berserk"})
	//   check_stock({"title":"Monster, volume 1"})
	//   = {"copies":3}
	//   = no manga has the title "Monster, volume 1"; leave out volume and subtitle
	//
	// [round 2: tool_use, 301 tokens, $0.0004939]
	//   check_stock({"title":"Monster"})
	//   reserve({"title":"Berserk","copies":3})
	//   = {"copies":0}
	//   = the call was not approved: a customer may reserve 2 copies at most
	//
	// [round 3: tool_use, 375 tokens, $0.0004961]
	//   reserve({"title":"Berserk","copies":2})
	//   = reserved 2 of Berserk
	// I have reserved two copies of Berserk for you, the most that I may. Monster is sold out.
	// [round 4: end_turn, 423 tokens, $0.0005621]
	// [all: 1308 tokens, $0.0019624]
}
