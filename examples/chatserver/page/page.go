// Package page holds the files of the assistant's page: HTML, CSS and JavaScript
// modules, all written for it.
package page

import "embed"

// Files are served as they are.
//
//go:embed *.html *.css *.js *.svg
var Files embed.FS
