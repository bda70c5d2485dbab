package main

import (
	"fmt"
	"os"
	"path/filepath"
	"text/template"
	"time"
)

// chart is a picture of bars: for each group one bar a contender.
type chart struct {
	Title  string
	Unit   string
	Groups []group
	Names  []string
}

type group struct {
	Label string
	Bars  []bar
}

type bar struct {
	Value float64
	Text  string
	Class int // place of the contender
	X, Y  float64
	W     float64
}

const (
	barHeight, barGap = 16.0, 3.0
	groupGap          = 18.0
	left, width       = 120.0, 420.0
	top               = 58.0
)

// picture stands on light and dark pages: its colours are told apart without colour vision, and text takes the page's own.
var picture = template.Must(template.New("svg").Parse(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 {{.Height}}" width="640"
  font-family="system-ui, sans-serif" font-size="12" role="img" aria-label="{{.Title}}">
<style>text{fill:#1f2328}.c0{fill:#0072b2}.c1{fill:#e69f00}.c2{fill:#009e73}.c3{fill:#cc79a7}
@media (prefers-color-scheme: dark){text{fill:#e6edf3}}</style>
<text x="8" y="18" font-size="14" font-weight="bold">{{.Title}}</text>
{{- range $i, $l := .Legend}}
<rect class="c{{$i}}" x="{{$l.X}}" y="30" width="10" height="10"/><text x="{{$l.Text}}" y="39">{{$l.Name}}</text>
{{- end}}
{{- range .Groups}}
<text x="8" y="{{.Y}}">{{.Label}}</text>
{{- range .Bars}}
<rect class="c{{.Class}}" x="120" y="{{.Y}}" width="{{printf "%.1f" .W}}" height="16"/><text x="{{printf "%.1f" .X}}" y="{{.TextY}}">{{.Text}}</text>
{{- end}}
{{- end}}
</svg>
`))

// Y and TextY place labels.
func (g group) Y() float64   { return g.Bars[0].Y + 12 }
func (b bar) TextY() float64 { return b.Y + 12 }

type legend struct {
	Name    string
	X, Text float64
}

// layout places the bars and gives the picture's height.
func (c *chart) layout() float64 {
	most := 0.0
	for _, g := range c.Groups {
		for _, b := range g.Bars {
			most = max(most, b.Value)
		}
	}
	y := top
	for i := range c.Groups {
		for j := range c.Groups[i].Bars {
			b := &c.Groups[i].Bars[j]
			b.Class, b.Y, b.W = j, y, max(1, b.Value/most*width)
			b.X = left + b.W + 6
			y += barHeight + barGap
		}
		y += groupGap
	}
	return y
}

func (c *chart) write(path string) error {
	data := struct {
		*chart
		Height float64
		Legend []legend
	}{c, c.layout(), nil}
	for i, name := range c.Names {
		x := 8 + float64(i)*158
		data.Legend = append(data.Legend, legend{name, x, x + 15})
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := picture.Execute(f, data); err != nil {
		return fmt.Errorf("draw %s: %w", path, err)
	}
	return f.Close()
}

// draw writes the pictures for the documentation.
func (r *report) draw(dir string) error {
	var names []string
	for _, ct := range contenders {
		names = append(names, ct.name)
	}
	rate := &chart{Title: "Commits per second, three durable nodes (more is better)", Names: names}
	latency := &chart{Title: "Latency of a commit, p50, milliseconds (less is better)", Names: names}
	for _, n := range r.Proposers {
		var rates, latencies []bar
		for _, name := range names {
			v, d := of(r, name, n, perSecond), milliseconds(of(r, name, n, p50))
			rates = append(rates, bar{Value: v, Text: fmt.Sprintf("%.0f", v)})
			latencies = append(latencies, bar{Value: d, Text: fmt.Sprintf("%.2f", d)})
		}
		label := fmt.Sprintf("%d proposers", n)
		rate.Groups = append(rate.Groups, group{label, rates})
		latency.Groups = append(latency.Groups, group{label, latencies})
	}
	recovery := &chart{Title: "Milliseconds without a leader, and until a follower has caught up (less is better)", Names: names}
	for label, figure := range map[string]map[string][]time.Duration{"leader stops": r.Writable} {
		var bars []bar
		for _, name := range names {
			d := milliseconds(median(figure[name]))
			bars = append(bars, bar{Value: d, Text: fmt.Sprintf("%.0f", d)})
		}
		recovery.Groups = append(recovery.Groups, group{label, bars})
	}
	var bars []bar
	for _, name := range names {
		d := milliseconds(median(r.CatchUp[name]))
		bars = append(bars, bar{Value: d, Text: fmt.Sprintf("%.0f", d)})
	}
	recovery.Groups = append(recovery.Groups, group{fmt.Sprintf("%d behind", r.Behind), bars})
	for file, c := range map[string]*chart{
		"benchmarks-rate.svg": rate, "benchmarks-latency.svg": latency, "benchmarks-recovery.svg": recovery,
	} {
		if err := c.write(filepath.Join(dir, file)); err != nil {
			return err
		}
	}
	return nil
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }
