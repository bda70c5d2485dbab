package acl

import (
	"slices"
	"strings"
)

// Categories are Redis's, in its order. Those that are about data are empty here.
var Categories = []string{
	"keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap", "hyperloglog", "geo", "stream", "pubsub", "admin",
	"fast", "slow", "blocking", "dangerous", "connection", "transaction", "scripting",
}

// Command is one that rules can name.
type Command struct {
	Name       string   // in lower case; of a subcommand with its container: "client|id"
	Categories []string // without the @
	Open       bool     // to every user: those with which one becomes another
	Parts      []Command
}

// Catalogue holds the commands that there are.
type Catalogue struct {
	commands []Command
	byName   map[string]*Command
}

// NewCatalogue makes one. It keeps the commands.
func NewCatalogue(commands []Command) *Catalogue {
	c := &Catalogue{commands: commands, byName: map[string]*Command{}}
	for i := range commands {
		c.byName[commands[i].Name] = &commands[i]
		for j := range commands[i].Parts {
			part := &commands[i].Parts[j]
			c.byName[part.Name] = part
		}
	}
	return c
}

// In lists the commands of a category; nil: there is no such category.
func (c *Catalogue) In(category string) []string {
	category = strings.ToLower(category)
	if !slices.Contains(Categories, category) {
		return nil
	}
	names := []string{}
	for i := range c.commands {
		for _, command := range append([]Command{c.commands[i]}, c.commands[i].Parts...) {
			if slices.Contains(command.Categories, category) {
				names = append(names, command.Name)
			}
		}
	}
	return names
}
