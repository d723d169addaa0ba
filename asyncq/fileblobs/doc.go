// Package fileblobs keeps results, and payloads that are too large for a message,
// in files of one folder.
//
//	results, err := fileblobs.New("/var/lib/manga/results")
//
// A file is written in the folder "new" within it, and gets its name when all of it is
// on the disk: so one that is there is whole, whatever was killed when. [New] deletes
// what was left in "new" more than an hour before. Several processes may share the
// folder. Its file system must have hard links.
package fileblobs
