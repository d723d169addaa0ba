// Command bedrockmodels prints what is known of the models of Amazon Bedrock:
// what they take, how they are called and when they end.
//
//	bedrockmodels                                     all models
//	bedrockmodels -provider anthropic -living         those of one provider that have not ended
//	bedrockmodels -feature tools,structured_output    those that are known to have features
//	bedrockmodels -model us.anthropic.claude-opus-5-5 one model, each fact with its source
//
// In the table + is yes, - is no and ? is not known. The state is that of a day
// (-on), by default the day of the table: "ended" answers 404, "ends" has an
// announced end.
//
// The exit status is 0, 1 if no model is found, and 2 if the arguments are
// wrong.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mangaassist/bedrockkit"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// errUsage is the error of wrong arguments.
var errUsage = errors.New("wrong arguments")

const usage = `bedrockmodels prints what is known of the models of Amazon Bedrock.

  bedrockmodels                all models
  bedrockmodels -model ID      one model, each fact with its source

In the table + is yes, - is no and ? is not known.

`

type arguments struct {
	provider, feature, not, model, on string
	living, asJSON, markdown          bool
}

func run(args []string, stdout, stderr io.Writer) int {
	var a arguments
	flags := flag.NewFlagSet("bedrockmodels", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&a.provider, "provider", "", "only models of this provider: anthropic, amazon, openai…")
	flags.StringVar(&a.feature, "feature", "", "only models known to have all of these features, separated by commas")
	flags.StringVar(&a.not, "without", "", "only models known to lack all of these features")
	flags.StringVar(&a.model, "model", "", "all facts of one model: an id, an inference profile or an ARN")
	flags.StringVar(&a.on, "on", "", "the day, YYYY-MM-DD, that ended and ending models are told by; empty is the table's")
	flags.BoolVar(&a.living, "living", false, "leave out models that have ended")
	flags.BoolVar(&a.asJSON, "json", false, "print JSON, with the source of each fact")
	flags.BoolVar(&a.markdown, "markdown", false, "print a table in Markdown")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	err := a.run(flags.Args(), stdout)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprintln(stderr, "bedrockmodels:", err)
		return 2
	}
	fmt.Fprintln(stderr, "bedrockmodels:", err)
	return 1
}

func (a *arguments) run(rest []string, out io.Writer) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("%w: %q; give the id to -model", errUsage, rest[0])
	case a.asJSON && a.markdown:
		return fmt.Errorf("%w: give -json or -markdown", errUsage)
	}
	var day time.Time
	if a.on != "" {
		var err error
		if day, err = time.Parse(time.DateOnly, a.on); err != nil {
			return fmt.Errorf("%w: -on is %q; a day is YYYY-MM-DD", errUsage, a.on)
		}
	}
	models, err := a.selected(day)
	if err != nil {
		return err
	}
	switch {
	case a.asJSON:
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(models)
	case a.model != "":
		return printFacts(out, models[0], day)
	case a.markdown:
		return printMarkdown(out, models, day)
	}
	return printTable(out, models, day)
}

// selected are the models that the arguments ask for.
func (a *arguments) selected(day time.Time) ([]bedrockkit.Capability, error) {
	var has, lacks bedrockkit.Feature
	for _, f := range []struct {
		names string
		to    *bedrockkit.Feature
	}{{a.feature, &has}, {a.not, &lacks}} {
		for name := range strings.SplitSeq(f.names, ",") {
			if name = strings.TrimSpace(name); name == "" {
				continue
			}
			one, err := bedrockkit.ParseFeature(name)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", errUsage, err)
			}
			*f.to |= one
		}
	}
	models := bedrockkit.Models()
	if a.model != "" {
		id := bedrockkit.ModelID(a.model)
		if err := id.Validate(); err != nil {
			return nil, fmt.Errorf("%w: %w", errUsage, err)
		}
		c, known := bedrockkit.Capabilities(id)
		if !known {
			return nil, fmt.Errorf("%s is not in the table of %s; nothing is known of it, and nothing of it is refused", id, bedrockkit.ModelsDate())
		}
		models = []bedrockkit.Capability{c}
	}
	if a.provider != "" && !slices.ContainsFunc(models, func(c bedrockkit.Capability) bool { return c.ID.Provider() == a.provider }) {
		return nil, fmt.Errorf("no model of %q is in the table; the providers are %s", a.provider, strings.Join(providers(models), ", "))
	}
	models = slices.DeleteFunc(models, func(c bedrockkit.Capability) bool {
		return a.provider != "" && c.ID.Provider() != a.provider || a.living && c.Lifecycle.Ended(day) ||
			has != 0 && c.Supports(has) != bedrockkit.Yes || lacks&^c.Features.No != 0
	})
	if len(models) == 0 {
		return nil, errors.New("no model is known to be so")
	}
	return models, nil
}

func providers(models []bedrockkit.Capability) []string {
	all := map[string]bool{}
	for _, c := range models {
		all[c.ID.Provider()] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// columns are the features of the table, by their short names.
var columns = []struct {
	name    string
	feature bedrockkit.Feature
}{
	{"converse", bedrockkit.FeatureConverse}, {"system", bedrockkit.FeatureSystem}, {"tools", bedrockkit.FeatureTools},
	{"forced", bedrockkit.FeatureToolChoice}, {"stream", bedrockkit.FeatureToolStreaming}, {"strict", bedrockkit.FeatureStrictTools},
	{"json", bedrockkit.FeatureStructuredOutput}, {"think", bedrockkit.FeatureThinking}, {"prefill", bedrockkit.FeaturePrefill},
	{"cache", bedrockkit.FeaturePromptCache}, {"image", bedrockkit.FeatureImages}, {"doc", bedrockkit.FeatureDocuments},
	{"video", bedrockkit.FeatureVideo}, {"batch", bedrockkit.FeatureBatch}, {"count", bedrockkit.FeatureCountTokens},
	{"bare id", bedrockkit.FeatureOnDemand},
}

func sign(s bedrockkit.Support) string {
	return map[bedrockkit.Support]string{bedrockkit.Yes: "+", bedrockkit.No: "-"}[s]
}

// state is what a day says of a model's life.
func state(c bedrockkit.Capability, day time.Time) string {
	l := c.Lifecycle
	switch {
	case l.Ended(day) && l.EndOfLife != "":
		return "ended " + l.EndOfLife
	case l.Ended(day):
		return "ended"
	case l.EndOfLife != "":
		return "ends " + l.EndOfLife
	case l.State == "ended": // and not by that day
		return ""
	}
	return l.State
}

func count(n int) string {
	if n == 0 {
		return "?"
	}
	return strconv.Itoa(n)
}

// row is a model's line of the table.
func row(c bedrockkit.Capability, day time.Time) []string {
	cells := []string{string(c.ID), count(c.MaxInput), count(c.MaxOutput)}
	for _, col := range columns {
		s := sign(c.Supports(col.feature))
		if s == "" {
			s = "?"
		}
		cells = append(cells, s)
	}
	last := state(c, day)
	if last == "" {
		last = "?"
	}
	return append(cells, last)
}

func header() []string {
	cells := []string{"model", "input", "output"}
	for _, col := range columns {
		cells = append(cells, col.name)
	}
	return append(cells, "state")
}

func printTable(out io.Writer, models []bedrockkit.Capability, day time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(header(), "\t"))
	for _, c := range models {
		fmt.Fprintln(w, strings.Join(row(c, day), "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%d models, by the table of %s: + yes, - no, ? not known\n", len(models), bedrockkit.ModelsDate())
	return err
}

func printMarkdown(out io.Writer, models []bedrockkit.Capability, day time.Time) error {
	line := func(cells []string) error {
		_, err := fmt.Fprintf(out, "| %s |\n", strings.Join(cells, " | "))
		return err
	}
	err := line(header())
	if err == nil {
		err = line(slices.Repeat([]string{"---"}, len(header())))
	}
	for _, c := range models {
		if err == nil {
			err = line(row(c, day))
		}
	}
	return err
}

// printFacts prints all that is known of a model, field by field.
func printFacts(out io.Writer, c bedrockkit.Capability, day time.Time) error {
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	delete(fields, "facts")
	delete(fields, "features")
	values := map[string]string{}
	for name, v := range fields {
		values[name] = string(v)
	}
	for _, name := range bedrockkit.AllFeatures().Names() {
		f, _ := bedrockkit.ParseFeature(name)
		values["features."+name] = c.Supports(f).String()
	}
	if s := state(c, day); s != "" {
		values["state"] = s
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	sources, used := bedrockkit.ModelSources(), map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		from := ""
		for _, field := range slices.Sorted(maps.Keys(c.Facts)) {
			if f := c.Facts[field]; field == name || strings.HasPrefix(field, name+".") {
				for _, s := range f.Sources {
					used[s] = true
				}
				part := strings.TrimPrefix(strings.TrimPrefix(field, name), ".")
				from += strings.TrimSpace(fmt.Sprintf("  %s %s by %s", part, f.Confidence, strings.Join(f.Sources, ", "))) + "; "
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", name, values[name], strings.TrimSuffix(from, "; "))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nSources:")
	for _, name := range slices.Sorted(maps.Keys(used)) {
		s := sources[name]
		if _, err := fmt.Fprintf(out, "  %s (%s): %s\n", name, s.Date, strings.TrimSpace(s.Title+" "+s.URL)); err != nil {
			return err
		}
	}
	return nil
}
