package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
)

const keysUsage = `usage: chatserver keys add [-file keys.json] NAME
       chatserver keys list [-file keys.json]
       chatserver keys revoke [-file keys.json] ID`

// manageKeys is the subcommand keys.
func manageKeys(_ context.Context, args []string, stdout, stderr io.Writer) error {
	command := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = args[0], args[1:]
	}
	flags := flag.NewFlagSet("chatserver keys", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // main says what is wrong
	file := flags.String("file", "keys.json", "the `file` of the keys")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(stderr, keysUsage)
		return err
	} else if err != nil {
		return fmt.Errorf("%w\n%s", err, keysUsage)
	}
	keys, err := auth.OpenKeys(*file)
	if err != nil {
		return err
	}
	switch {
	case command == "add" && flags.NArg() == 1:
		key, err := keys.Add(flags.Arg(0))
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s\n", key)
		fmt.Fprintln(stderr, "This is the only time that the key is shown.")
		return nil
	case command == "list" && flags.NArg() == 0:
		list, err := keys.List()
		if err != nil {
			return err
		}
		if len(list) == 0 {
			fmt.Fprintf(stderr, "There are no keys in %s.\n", *file)
			return nil
		}
		w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
		for _, key := range list {
			fmt.Fprintf(w, "%s\t%s\t%s\n", key.ID, key.Created.Format(time.DateOnly), key.Name)
		}
		return w.Flush()
	case command == "revoke" && flags.NArg() == 1:
		return keys.Revoke(flags.Arg(0))
	}
	return errors.New(keysUsage)
}
