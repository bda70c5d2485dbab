package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// Ink says what a cell means, for whoever sees colours. Words say the same.
type ink string

const (
	plain ink = ""
	good  ink = "\x1b[32m"
	doubt ink = "\x1b[33m"
	bad   ink = "\x1b[31m"
	bold  ink = "\x1b[1m"
	faint ink = "\x1b[2m"
)

// Coloured is a writer to a terminal that shows colours, such as a buffer of what one is to show.
type Coloured struct{ io.Writer }

// Colours says whether a writer is a terminal on which colours are wanted: see https://no-color.org.
func Colours(out io.Writer) bool {
	if _, ok := out.(Coloured); ok {
		return true
	}
	return Terminal(out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// Terminal says whether somebody looks on while something is written.
func Terminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// paint colours a text for a writer.
func paint(out io.Writer, i ink, text string) string {
	if i == plain || text == "" || !Colours(out) {
		return text
	}
	return string(i) + text + "\x1b[0m"
}

// cell is a word of a table.
type cell struct {
	text string
	ink  ink
}

// grid is a table whose columns are as wide as they must be.
type grid struct{ rows [][]cell }

// row adds a line; a value is a cell, or a text.
func (g *grid) row(values ...any) {
	row := make([]cell, len(values))
	for i, v := range values {
		if c, ok := v.(cell); ok {
			row[i] = c
		} else {
			row[i] = cell{text: fmt.Sprint(v)}
		}
	}
	g.rows = append(g.rows, row)
}

// head adds the columns' names.
func (g *grid) head(names ...string) {
	row := make([]cell, len(names))
	for i, name := range names {
		row[i] = cell{name, bold}
	}
	g.rows = append(g.rows, row)
}

// columnGap is between two columns.
const columnGap = 2

func (g *grid) write(out io.Writer) error {
	var widths []int
	for _, row := range g.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if i+1 < len(row) { // what stands last may be as long as it likes
				widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
			}
		}
	}
	var text strings.Builder
	for _, row := range g.rows {
		for i, c := range row {
			text.WriteString(paint(out, c.ink, c.text))
			if i+1 < len(row) {
				text.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text)+columnGap))
			}
		}
		text.WriteByte('\n')
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// stateInk is the colour of a server's or an agent's state.
func stateInk(state string) ink {
	switch {
	case state == "up":
		return good
	case slices.Contains([]string{"down", "not heard"}, state):
		return bad
	}
	return doubt
}
