// Command bedrockcost says what Amazon Bedrock costs, exactly.
//
// It prices one usage:
//
//	bedrockcost -model us.anthropic.claude-sonnet-4-5-20250929-v1:0 -in 3 -out 12 -cache-read 13216 -cache-write-5m 25
//
// in one region, or in all that have a price of their own:
//
//	bedrockcost -model amazon.nova-2-lite-v1:0 -in 1000000 -out 1000000 -regions
//
// or forecasts what a workload costs, as a table, as JSON or as a chart of
// where the money goes:
//
//	bedrockcost -workload workload.json -svg cost.svg
//
// Without arguments it forecasts the assistant of a manga store, one million
// messages a day; workload.json beside this program is that workload.
//
// The exit status is 0, 1 where there is no price, with the reason on standard
// error, and 2 where the arguments are wrong.
package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

//go:embed workload.json
var exampleWorkload []byte

const maxWorkloadBytes = 1 << 20

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// errUsage is the error of wrong arguments.
var errUsage = errors.New("wrong arguments")

const usage = `bedrockcost says what Amazon Bedrock costs, exactly.

  bedrockcost -model ID -in N -out N    one usage
  bedrockcost -workload FILE            a month of a workload
  bedrockcost                           a month of an example, a manga store's assistant

`

type arguments struct {
	model                       string
	usage                       bedrockkit.Usage
	tier, region, date, compare string
	workload, table, svg        string
	asJSON, regions             bool
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var a arguments
	flags := flag.NewFlagSet("bedrockcost", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&a.model, "model", "", "price one usage of this model: an id, an inference profile or an ARN")
	flags.Int64Var(&a.usage.InputTokens, "in", 0, "input tokens, without those of the prompt cache")
	flags.Int64Var(&a.usage.OutputTokens, "out", 0, "output tokens")
	flags.Int64Var(&a.usage.CacheReadTokens, "cache-read", 0, "input tokens read from the prompt cache")
	flags.Int64Var(&a.usage.CacheWrite5mTokens, "cache-write-5m", 0, "input tokens written to it for five minutes")
	flags.Int64Var(&a.usage.CacheWrite30mTokens, "cache-write-30m", 0, "input tokens written to it for thirty minutes")
	flags.Int64Var(&a.usage.CacheWrite1hTokens, "cache-write-1h", 0, "input tokens written to it for an hour")
	flags.StringVar(&a.tier, "tier", "standard", "tier that served: standard, priority, flex, batch, reserved, optimized or ultrafast")
	flags.StringVar(&a.region, "region", "", "region that was called; empty is us-east-1 for bare ids, us. and global.")
	flags.BoolVar(&a.regions, "regions", false, "price the usage in all regions that have a price of their own")
	flags.StringVar(&a.date, "date", "", "day of the request, YYYY-MM-DD; empty is today")
	flags.StringVar(&a.compare, "compare", "", "price the same usage with these models too, separated by commas")
	flags.StringVar(&a.workload, "workload", "", "forecast the workload in this JSON file; - is standard input")
	flags.StringVar(&a.table, "table", "", "price table to use instead of the embedded one")
	flags.StringVar(&a.svg, "svg", "", "write a chart of the forecast to this file")
	flags.BoolVar(&a.asJSON, "json", false, "print JSON")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	err := a.run(flags, stdin, stdout)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprintln(stderr, "bedrockcost:", err)
		return 2
	}
	fmt.Fprintln(stderr, "bedrockcost:", err)
	return 1
}

func (a *arguments) run(flags *flag.FlagSet, stdin io.Reader, stdout io.Writer) error {
	if flags.NArg() > 0 {
		return fmt.Errorf("%w: %q is not a flag; see -help", errUsage, flags.Arg(0))
	}
	var unfit, empty []string
	flags.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "model", "workload", "table", "svg": // as of a variable that a shell does not know
			if f.Value.String() == "" {
				empty = append(empty, "-"+f.Name)
			}
		}
		forecasts := f.Name == "workload" || f.Name == "svg"
		both := f.Name == "json" || f.Name == "table"
		if !both && f.Name != "model" && forecasts != (a.model == "") {
			unfit = append(unfit, "-"+f.Name)
		}
	})
	if len(empty) > 0 {
		return fmt.Errorf("%w: %s is empty", errUsage, strings.Join(empty, ", "))
	}
	if len(unfit) > 0 {
		with := "without"
		if a.model != "" {
			with = "with"
		}
		return fmt.Errorf("%w: %s has no meaning %s -model", errUsage, strings.Join(unfit, ", "), with)
	}
	table := pricing.Default()
	if a.table != "" {
		f, err := os.Open(a.table)
		if err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
		defer f.Close()
		if table, err = pricing.ReadTable(f); err != nil {
			return fmt.Errorf("%w: %s: %w", errUsage, a.table, err)
		}
	}
	if a.model != "" {
		return a.price(table, stdout)
	}
	return a.forecast(table, stdin, stdout)
}

// A model that costs the same everywhere has a price in a misspelt region too.
var regionPattern = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+){1,3}-[0-9]{1,2}$`)

func checkRegion(region string) error {
	if region != "" && !regionPattern.MatchString(region) {
		return fmt.Errorf("%w: %q is not a region of AWS, such as us-east-1", errUsage, region)
	}
	return nil
}

// price prints what one usage costs.
func (a *arguments) price(table *pricing.Table, stdout io.Writer) error {
	var date time.Time
	if a.date != "" {
		var err error
		if date, err = time.Parse(time.DateOnly, a.date); err != nil {
			return fmt.Errorf("%w: -date %q is not a day YYYY-MM-DD", errUsage, a.date)
		}
	}
	if err := checkRegion(a.region); err != nil {
		return err
	}
	options := func(o *pricing.CostOptions) {
		o.Tier, o.Region, o.Date = bedrockkit.ServiceTier(a.tier), a.region, date
	}
	if a.regions {
		return a.everywhere(table, options, stdout)
	}
	b, err := table.Breakdown(bedrockkit.ModelID(a.model), a.usage, options)
	if err != nil {
		return err
	}
	var others []pricing.Comparison
	if a.compare != "" {
		var models []bedrockkit.ModelID
		for m := range strings.SplitSeq(a.compare, ",") {
			models = append(models, bedrockkit.ModelID(strings.TrimSpace(m)))
		}
		others = table.Compare(a.usage, models, options)
	}
	if a.asJSON {
		type comparison struct {
			pricing.Comparison
			Error string `json:"error,omitempty"`
		}
		out := struct {
			pricing.Breakdown
			Compared []comparison `json:"compared,omitempty"`
		}{Breakdown: b}
		for _, c := range others {
			out.Compared = append(out.Compared, comparison{Comparison: c})
			if c.Err != nil {
				out.Compared[len(out.Compared)-1].Error = c.Err.Error()
			}
		}
		return printJSON(stdout, out)
	}
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "$%s\n%s\n", b.Total, conditions(&b))
	for _, l := range b.Lines {
		fmt.Fprintf(w, "  %s\t%d\tat $%s per million\t$%s\t%s\n", l.Dimension, l.Units, l.Rate, l.Amount, strings.Join(l.Sources, ", "))
	}
	for i, c := range others {
		if i == 0 {
			fmt.Fprintln(w, "the same usage with")
		}
		if c.Err != nil {
			fmt.Fprintf(w, "  %s\t%v\n", c.Model, c.Err)
			continue
		}
		fmt.Fprintf(w, "  %s\t$%s\n", c.Model, c.Cost)
	}
	return w.Flush()
}

// conditions are those that a price was found by.
func conditions(b *pricing.Breakdown) string {
	s := fmt.Sprintf("%s, scope %s, tier %s", b.Model, b.Scope, b.Tier)
	if b.Region != "" {
		s += ", in " + b.Region
	}
	if b.Day != "" {
		s += ", on " + b.Day
	}
	return s
}

// everywhere prints what one usage costs in each region that some price of the
// model is for, the cheapest first.
func (a *arguments) everywhere(table *pricing.Table, options func(*pricing.CostOptions), stdout io.Writer) error {
	if a.region != "" || a.compare != "" {
		return fmt.Errorf("%w: -regions has no meaning with -region or -compare", errUsage)
	}
	if _, known := table.Model(bedrockkit.ModelID(a.model)); !known {
		_, err := table.Cost(bedrockkit.ModelID(a.model), a.usage, options)
		return err
	}
	type priced struct {
		Region string         `json:"region"`
		Cost   pricing.Amount `json:"cost"`
		Error  string         `json:"error,omitempty"`
		err    error
	}
	var all []priced
	named := table.Regions(bedrockkit.ModelID(a.model))
	asked := append([]string(nil), named...)
	other, ok := unnamed(bedrockkit.ModelID(a.model), named)
	others := "all others"
	if len(named) == 0 {
		others = "all regions"
	}
	if ok {
		asked = append(asked, others)
	}
	found := false
	for _, r := range asked {
		cost, err := table.Cost(bedrockkit.ModelID(a.model), a.usage, options, func(o *pricing.CostOptions) {
			if o.Region = r; r == others {
				o.Region = other
			}
		})
		p := priced{Region: r, Cost: cost, err: err}
		if err != nil {
			p.Error = "no rate"
			if !errors.Is(err, pricing.ErrNoRate) {
				return err
			}
		}
		found = found || err == nil
		all = append(all, p)
	}
	if !found {
		if _, err := table.Cost(bedrockkit.ModelID(a.model), a.usage, options); err != nil {
			return err // which names no region that there is not
		}
		return all[0].err
	}
	slices.SortStableFunc(all, func(x, y priced) int {
		if (x.err != nil) != (y.err != nil) {
			return len(x.Error) - len(y.Error) // those without a price last
		}
		return x.Cost.Cmp(y.Cost)
	})
	if a.asJSON {
		return printJSON(stdout, all)
	}
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	for _, p := range all {
		if p.err != nil {
			fmt.Fprintf(w, "%s\t%s\n", p.Region, p.Error)
			continue
		}
		fmt.Fprintf(w, "%s\t$%s\n", p.Region, p.Cost)
	}
	return w.Flush()
}

// unnamed is a region that no row names: its price is that of all such regions.
// For the profile of a geography it is one that the profile is called from, if
// there is one, or empty where no region has a price of its own.
func unnamed(model bedrockkit.ModelID, named []string) (region string, ok bool) {
	ident, err := model.Parse()
	if err != nil || ident.Scope != bedrockkit.ScopeGeographic {
		return "aa-another-1", true
	}
	c, _ := bedrockkit.Capabilities(model)
	profile, _ := c.Profile(ident.Prefix)
	for _, route := range profile.Routes {
		for _, region := range route.From {
			if !slices.Contains(named, region) {
				return region, true
			}
		}
	}
	return "", len(named) == 0
}

// forecast prints what a workload costs.
func (a *arguments) forecast(table *pricing.Table, stdin io.Reader, stdout io.Writer) error {
	data := exampleWorkload
	if a.workload != "" {
		in := stdin
		if a.workload != "-" {
			f, err := os.Open(a.workload)
			if err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
			defer f.Close()
			in = f
		}
		var err error
		if data, err = io.ReadAll(io.LimitReader(in, maxWorkloadBytes+1)); err != nil {
			return fmt.Errorf("%w: reading the workload: %w", errUsage, err)
		}
		if len(data) > maxWorkloadBytes {
			return fmt.Errorf("%w: the workload has more than %d bytes", errUsage, maxWorkloadBytes)
		}
	}
	var w pricing.Workload
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&w); err != nil {
		return fmt.Errorf("%w: reading the workload: %w", errUsage, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("%w: there is more after the workload", errUsage)
	}
	if err := checkRegion(w.Region); err != nil {
		return err
	}
	f, err := table.Forecast(w)
	if err != nil {
		return err
	}
	if a.svg != "" {
		if err := os.WriteFile(a.svg, chart(&w, &f), 0o644); err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
	}
	if a.asJSON {
		return printJSON(stdout, f)
	}
	if err := printForecast(stdout, &w, &f); err != nil || a.workload != "" {
		return err
	}
	_, err = fmt.Fprint(stdout, "\nThis is an example, the assistant of a manga store; -workload FILE forecasts yours.\n")
	return err
}

func printForecast(stdout io.Writer, in *pricing.Workload, f *pricing.Forecast) error {
	period := fmt.Sprintf("%d days", f.Days)
	name := "in " + period
	if f.Days == 30 {
		name = "a month"
	}
	fmt.Fprintf(stdout, "%s a day, %s %s", dollars(f.ListDay), dollars(f.List), name)
	if f.Savings.ResponseCache.Sign() > 0 {
		fmt.Fprintf(stdout, "; %s saved by caching", dollars(f.Savings.ResponseCache))
	}
	fmt.Fprint(stdout, "\n\n")
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\tmessages a day\ta day\t%s\t\n", period)
	row := func(name string, messages float64, day, total pricing.Amount) {
		fmt.Fprintf(w, "%s\t%.0f\t%s\t%s\t\n", name, messages, day.Display(3), total.Display(3))
	}
	for _, m := range f.PerModel {
		row(string(m.Model), m.MessagesPerDay, m.ListDay, m.ListDay.Mul(int64(f.Days)))
	}
	row("all, without caches and batches", float64(in.MessagesPerDay), f.ListDay, f.List)
	for _, s := range []struct {
		name  string
		saved pricing.Amount
	}{
		{"saved by caching responses", f.Savings.ResponseCache},
		{"saved by caching prompts", f.Savings.PromptCache},
		{"saved by batches", f.Savings.Batch},
	} {
		if !s.saved.IsZero() {
			fmt.Fprintf(w, "%s\t\t\t%s\t\n", s.name, s.saved.Display(3))
		}
	}
	row("to pay", float64(in.MessagesPerDay), f.Day, f.Cost)
	fmt.Fprintf(w, "for a message, on average\t\t\t%s\t\n", f.PerAnswer.Display(3))
	return w.Flush()
}

// dollars leaves out cents where there are none.
func dollars(a pricing.Amount) string { return strings.TrimSuffix(a.Display(3), ".00") }

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
