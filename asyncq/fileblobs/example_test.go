package fileblobs_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/fileblobs"
)

func Example() {
	dir, err := os.MkdirTemp("", "results")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	results, err := fileblobs.New(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	fmt.Println(results.Put(ctx, "result/job-1", []byte(`"a voyage"`)))
	err = results.Put(ctx, "result/job-1", []byte(`"another"`)) // a job that was done twice
	fmt.Println(errors.Is(err, asyncq.ErrExists))
	data, err := results.Get(ctx, "result/job-1")
	fmt.Println(string(data), err)
	// Output:
	// <nil>
	// true
	// "a voyage" <nil>
}
