package resp

import (
	_ "embed"
	"encoding/json"
	"slices"
	"sync"

	"picket/sentinel/resp/acl"
)

// manual is what COMMAND tells of a command, beyond its name, its arity and what it is for.
type manual struct {
	Flags           []string   `json:"flags"`
	Categories      []string   `json:"categories"` // without the @
	Tips            []string   `json:"tips"`
	Group           string     `json:"group"`
	Since           string     `json:"since"`
	DocFlags        []string   `json:"doc_flags"`
	DeprecatedSince string     `json:"deprecated_since"`
	ReplacedBy      string     `json:"replaced_by"`
	Arguments       []argument `json:"arguments"`
}

// argument is one that a command takes.
type argument struct {
	Name            string     `json:"name"`
	Type            string     `json:"type"`
	Token           string     `json:"token"`
	Since           string     `json:"since"`
	DeprecatedSince string     `json:"deprecated_since"`
	Flags           []string   `json:"flags"`
	Arguments       []argument `json:"arguments"`
}

//go:embed commands.json
var manualText []byte

// manuals holds them by the commands' full names, as Redis Sentinel 7.0.15 has them. What is not there is like most of what SENTINEL does.
var manuals = sync.OnceValue(func() map[string]manual {
	all := map[string]manual{}
	if err := json.Unmarshal(manualText, &all); err != nil {
		panic(err) // a test reads it
	}
	return all
})

var usualManual = manual{Flags: []string{"admin"}, Categories: []string{"admin", "slow", "dangerous"}, Group: "sentinel", Since: "2.8.4"}

func manualOf(name string) manual {
	if m, ok := manuals()[name]; ok {
		return m
	}
	return usualManual
}

// open says whether a command may be used before AUTH, and by every user.
func (m manual) open() bool { return slices.Contains(m.Flags, "no_auth") }

// catalogue names the commands for the rules of users.
func (t table) catalogue() *acl.Catalogue {
	var commands []acl.Command
	for _, d := range t.commands {
		commands = append(commands, d.granted())
	}
	return acl.NewCatalogue(commands)
}

// granted is a command as the rules of users see it.
func (d *command) granted() acl.Command {
	c := acl.Command{Name: d.full, Categories: d.manual.Categories, Open: d.manual.open()}
	for _, part := range d.parts {
		c.Parts = append(c.Parts, part.granted())
	}
	return c
}
