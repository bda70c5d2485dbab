package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// spans are measured times.
type spans []time.Duration

// quantile is the nearest rank; of few the 99th percentile is the worst. 0 of none.
func (s spans) quantile(q float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func (f figure) String() string {
	switch f.Unit {
	case "ms":
		return fmt.Sprintf("%.0f ms", f.Value)
	case "%":
		return fmt.Sprintf("%.2f %%", f.Value)
	}
	return fmt.Sprintf("%.0f", f.Value)
}

// promise says what Picket promises of the figure.
func (f figure) promise() string {
	if f.Must == nil {
		return ""
	}
	most := f
	most.Value = *f.Must
	if *f.Must == 0 {
		return most.String()
	}
	return "≤ " + most.String()
}

func (o outcome) print(out io.Writer) {
	for _, f := range o.Figures {
		fmt.Fprintf(out, "    %-60s %s\n", f.What, f)
	}
	for line := range strings.Lines(o.Why) {
		fmt.Fprint(out, "    | ", line)
	}
	if o.Error != "" {
		fmt.Fprintln(out, "    failed:", o.Error)
	}
}

// whyLines is how much picket may say of a master.
const whyLines = 20

// brokenIn lists Picket's broken promises. That a scenario did not come to its end is one.
func brokenIn(results []result) []string {
	var broken []string
	for _, r := range results {
		o := r.Outcomes[systems[0].name]
		if o.Error != "" {
			broken = append(broken, r.Scenario+": "+o.Error)
		}
		if n := strings.Count(o.Why, "\n"); n > whyLines {
			broken = append(broken, fmt.Sprintf("%s: picket why says it in %d lines, promised: ≤ %d", r.Scenario, n, whyLines))
		}
		for _, f := range o.Figures {
			if !f.kept() {
				broken = append(broken, fmt.Sprintf("%s: %s: %s, promised: %s", r.Scenario, f.What, f, f.promise()))
			}
		}
	}
	return broken
}

// row is one figure of all systems.
type row struct {
	what    string
	cells   []string // by system
	promise string
}

// rows lays a result out. A system that did not come so far has no figure.
func (r result) rows() []row {
	var rows []row
	for s, system := range systems {
		for i, f := range r.Outcomes[system.name].Figures {
			if i == len(rows) {
				rows = append(rows, row{what: f.What, cells: slices.Repeat([]string{"–"}, len(systems)), promise: f.promise()})
			}
			rows[i].cells[s] = f.String()
		}
	}
	return rows
}

// report prints the table and writes the files that were asked for.
func (p plan) report(out io.Writer, results []result) error {
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintf(w, "\t%s\tpromised\n", strings.Join(names(), "\t"))
	for _, r := range results {
		fmt.Fprintf(w, "%s: %s%s\n", r.Scenario, r.About, strings.Repeat("\t", len(systems)+1))
		for _, row := range r.rows() {
			fmt.Fprintf(w, "    %s\t%s\t%s\n", row.what, strings.Join(row.cells, "\t"), row.promise)
		}
	}
	errs := []error{w.Flush()}
	if p.json != "" {
		text, err := json.MarshalIndent(results, "", "\t")
		errs = append(errs, err, os.WriteFile(p.json, append(text, '\n'), 0o644))
	}
	if p.markdown != "" {
		errs = append(errs, os.WriteFile(p.markdown, []byte(markdown(results)), 0o644))
	}
	return errors.Join(errs...)
}

// markdown is the table for the documentation.
func markdown(results []result) string {
	var text strings.Builder
	fmt.Fprintf(&text, "| | %s | promised |\n| --- |%s --- |\n", strings.Join(names(), " | "), strings.Repeat(" --- |", len(systems)))
	for _, r := range results {
		fmt.Fprintf(&text, "| **%s**: %s |%s |\n", r.Scenario, r.About, strings.Repeat(" |", len(systems)))
		for _, row := range r.rows() {
			fmt.Fprintf(&text, "| %s | %s | %s |\n", row.what, strings.Join(row.cells, " | "), row.promise)
		}
	}
	return text.String()
}

func names() []string {
	var all []string
	for _, s := range systems {
		all = append(all, s.name)
	}
	return all
}
