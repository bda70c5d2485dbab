package cli

import (
	"io"

	"picket/config"
)

// Imported tells what a Sentinel group's files have become.
type Imported struct {
	Agents []ImportedAgent `json:"agents"`
	Notes  []Note          `json:"notes"`
}

// ImportedAgent is one agent's part.
type ImportedAgent struct {
	ID      string   `json:"id"`
	Source  string   `json:"source"`  // its sentinel.conf
	File    string   `json:"file"`    // its configuration
	Secrets []string `json:"secrets"` // the files of its passwords
}

// Note is what an operator should know of a line, or of a whole file.
type Note struct {
	File      string `json:"file"`
	Line      int    `json:"line,omitempty"`
	Directive string `json:"directive,omitempty"`
	Text      string `json:"text"`
	Remedy    string `json:"remedy,omitempty"`
}

// NotesOf are the notes of an import.
func NotesOf(problems []config.Problem) []Note {
	notes := []Note{}
	for _, p := range problems {
		notes = append(notes, Note{p.File, p.Line, p.Key, p.Message, p.Remedy})
	}
	return notes
}

// Table writes the agents, and a line for each note.
func (r Imported) Table(out io.Writer) error {
	page := &page{out: out}
	var agents grid
	agents.head("AGENT", "FROM", "CONFIGURATION", "PASSWORDS")
	for _, a := range r.Agents {
		agents.row(a.ID, a.Source, a.File, len(a.Secrets))
	}
	if len(r.Agents) > 0 {
		page.grid(agents)
	}
	for _, n := range r.Notes {
		page.say(plain, "%s", config.Problem{File: n.File, Line: n.Line, Key: n.Directive, Message: n.Text, Remedy: n.Remedy})
	}
	return page.err
}
