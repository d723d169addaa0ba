// Command bench runs the AWS SDK, its peers and this module against the same
// bytes, in turns, and prints what each costs as a ratio.
//
//	go run .                  every race
//	go run . stream memory    these
//	go run . -h               the races and the flags
//
// The server is a process of its own. All answers are rendered before the first
// race; each contestant must give back the same number of bytes of text. CPU is
// what the operating system counts for the client's process, the garbage
// collector included. What is printed is the median of the rounds; absolute
// figures belong to the machine, ratios hold.
//
// It is a module of its own, so that users of bedrockkit do not depend on peers.
package main
