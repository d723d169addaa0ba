// Package shop is the manga shop behind the assistant: the three functions
// that the model may call as tools, with the JSON Schemas of their inputs.
//
//	s := shop.New(catalog.Default())
//	out, err := s.SearchMangaCatalog(ctx, shop.SearchInput{Query: "manga like One Piece"})
//
// The manga are real, the shop is not: its prices, its stock and its orders are
// invented. They are derived from the ids, so the same question has the same
// answer every day.
//
// # Errors
//
// An error says what was wrong with the call and what would be right, in words
// for the model, which may then fix its call. It is an [*InputError], and
// errors.Is tells [ErrInvalidInput] from [ErrNotFound].
package shop
