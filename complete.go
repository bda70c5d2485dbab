package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"picket/config"
	"picket/sentinel/cli"
	"picket/sentinel/picture"
)

// completionTimeout bounds the question to an agent while somebody waits for a shell. Without an answer nothing is offered.
const completionTimeout = 500 * time.Millisecond

// candidates asks an agent what a placeholder or a flag may stand for; args are those before it.
type candidates func(ctx context.Context, c *cli.Client, args []string) ([]string, error)

// placeholders are those of the commands' usage lines.
var placeholders = map[string]candidates{"NAME": pictured(masters), "REPLICA": pictured(replicas), "ID": pictured(agents), "WEBHOOK": webhooks}

// flagged are the flags that an agent knows values for.
var flagged = map[string]candidates{
	"to": pictured(replicas), "fail": pictured(servers), "fail-agent": pictured(agents), "master": pictured(masters),
}

// fixed are the flags whose values need no agent.
var fixed = map[string][]string{"output": cli.Formats, "type": config.EventTypes()}

// completions has shells offer what the agents know.
func completions(root *cobra.Command) {
	each(root, func(cmd *cobra.Command) {
		words := strings.Fields(cmd.Use)[1:]
		offered := func(word string) candidates { return placeholders[strings.Trim(word, "[].")] }
		if slices.ContainsFunc(words, func(w string) bool { return offered(w) != nil }) {
			cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
				if len(args) >= len(words) || offered(words[len(args)]) == nil {
					return nil, cobra.ShellCompDirectiveNoFileComp
				}
				return ask(cmd, offered(words[len(args)]), args)
			}
		} else if cmd.ValidArgsFunction == nil && !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(w, "FILE") || w == "DIR" }) {
			cmd.ValidArgsFunction = cobra.NoFileCompletions
		}
		for name, known := range flagged {
			if cmd.Flags().Lookup(name) == nil {
				continue
			}
			_ = cmd.RegisterFlagCompletionFunc(name, func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
				return ask(cmd, known, args)
			}) // it exists, and has none yet
		}
		for name, values := range fixed {
			if cmd.Flags().Lookup(name) != nil || cmd.PersistentFlags().Lookup(name) != nil {
				_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)) // as above
			}
		}
	})
}

// ask asks the agent that the flags name, which is what the command would do.
func ask(cmd *cobra.Command, known candidates, args []string) ([]string, cobra.ShellCompDirective) {
	c, err := doorOf(cmd).client(nil)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), completionTimeout)
	defer cancel()
	words, _ := known(ctx, c, args) // nobody would read what is wrong
	return words, cobra.ShellCompDirectiveNoFileComp
}

// pictured finds candidates in what an agent knows of masters and agents.
func pictured(in func(p picture.Picture, args []string) []string) candidates {
	return func(ctx context.Context, c *cli.Client, args []string) ([]string, error) {
		p, err := cli.Fetch(ctx, c)
		return in(p, args), err
	}
}

func webhooks(ctx context.Context, c *cli.Client, _ []string) (names []string, err error) {
	l, err := cli.Webhooks{Client: c}.List(ctx)
	for _, w := range l.Webhooks {
		names = append(names, w.Name)
	}
	return names, err
}

// doorOf reads a command's flags.
func doorOf(cmd *cobra.Command) *door {
	d := &door{flags: cmd.Flags(), config: defaultConfig}
	for name, to := range map[string]*string{"config": &d.config, "token-file": &d.tokenFile, "ca": &d.ca, "cert": &d.cert, "key": &d.key} {
		if text, err := d.flags.GetString(name); err == nil {
			*to = text
		}
	}
	d.agents, _ = d.flags.GetStringSlice("agent") // a command without it asks the agent of this host
	return d
}

func masters(p picture.Picture, _ []string) (names []string) {
	for _, m := range p.Masters {
		names = append(names, m.Name)
	}
	return names
}

func agents(p picture.Picture, _ []string) (ids []string) {
	for _, a := range p.Agents {
		ids = append(ids, a.ID)
	}
	return ids
}

// replicas are those of the master that is named before.
func replicas(p picture.Picture, args []string) []string { return ofMaster(p, args, false) }

// servers are its master, too.
func servers(p picture.Picture, args []string) []string { return ofMaster(p, args, true) }

func ofMaster(p picture.Picture, args []string, master bool) []string {
	var list []config.Addr
	for _, m := range p.Masters {
		if len(args) > 0 && m.Name != args[0] {
			continue
		}
		if master {
			list = append(list, m.Server.Addr)
		}
		for _, r := range m.Replicas {
			list = append(list, r.Addr)
		}
	}
	words := make([]string, len(list))
	for i, a := range list {
		words[i] = string(a)
	}
	return words
}
