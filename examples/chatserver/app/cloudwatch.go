package app

import (
	"cmp"
	"context"
	"io"
	"os"

	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/emf"
)

// cloudwatch prints a line for each call of a model, which CloudWatch turns into metrics,
// if the process has a name there: once with the name as a dimension, and once for all
// processes together. deploy/templates/observe.yaml has the alarms.
func (b *builder) cloudwatch(context.Context) (func(*bedrockx.Options), error) {
	return func(o *bedrockx.Options) {
		if b.Service == "" {
			return
		}
		o.Middleware = append(o.Middleware, emf.Middleware(cmp.Or[io.Writer](b.MetricLines, os.Stdout), func(e *emf.Options) {
			e.Namespace = "MangaAssist"
			e.Properties = map[string]string{"Service": b.Service}
			e.Dimensions = [][]string{{"Service"}, {}}
		}))
	}, nil
}
