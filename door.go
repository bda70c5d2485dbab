package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"picket/config"
)

// orderTimeout bounds a command that waits for nothing but an agent's answer; the agent itself gives up earlier.
const orderTimeout = 10 * time.Second

// door is how a command reaches an agent, and how it shows the answer.
type door struct{ config, agent, output string }

// newDoor adds its flags.
func newDoor(flags *pflag.FlagSet) *door {
	d := &door{}
	flags.StringVarP(&d.config, "config", "c", defaultConfig, "configuration file, for the agent's address")
	flags.StringVar(&d.agent, "agent", "", "HTTP address of an agent (default: listen.http of the configuration)")
	outputFlag(flags, &d.output)
	return d
}

func outputFlag(flags *pflag.FlagSet, output *string) {
	flags.StringVarP(output, "output", "o", "text", "text or json")
}

// checkOutput refuses what is none of the two forms.
func checkOutput(output string) error {
	if output != "text" && output != "json" {
		return fmt.Errorf("--output is text or json, not %q", output)
	}
	return nil
}

// addr finds the agent.
func (d *door) addr() (config.Addr, error) {
	if err := checkOutput(d.output); err != nil {
		return "", err
	}
	return httpDoor(d.config, d.agent)
}

// answer is what an agent says, and how that is written for people.
type answer struct {
	value any
	text  func(io.Writer) error
}

// ask puts a question to the agent and shows its answer.
func (d *door) ask(cmd *cobra.Command, question func(context.Context, config.Addr) (answer, error)) error {
	addr, err := d.addr()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), orderTimeout)
	defer cancel()
	a, err := question(ctx, addr)
	if err != nil {
		return err
	}
	return show(cmd.OutOrStdout(), d.output, a)
}

// show writes an answer: as JSON in one line, or as text.
func show(out io.Writer, output string, a answer) error {
	if output == "json" {
		return json.NewEncoder(out).Encode(a.value)
	}
	return a.text(out)
}
