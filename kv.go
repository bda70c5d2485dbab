package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"picket/sentinel/api"
	"picket/sentinel/cli"
	"picket/sentinel/state"
)

// kvDoor is what the kv commands share.
type kvDoor struct {
	*door
	stale bool
}

func kvCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "kv", Short: "Read and write the map of settings that the agents replicate"}
	d := &kvDoor{door: newDoor(cmd.PersistentFlags())}
	cmd.AddCommand(d.get(), d.list(), d.put(), d.cas(), d.delete(), d.watch())
	return cmd
}

// ask puts a question to an agent and shows its answer.
func (d *kvDoor) ask(cmd *cobra.Command, question func(context.Context, cli.KV) (cli.Answer, error)) error {
	return d.door.ask(cmd, func(ctx context.Context, c *cli.Client) (cli.Answer, error) {
		return question(ctx, cli.KV{Client: c, Stale: d.stale})
	})
}

func (d *kvDoor) staleFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&d.stale, "stale", false, "what the agent knows, which may be old; works without a majority")
}

func (d *kvDoor) get() *cobra.Command {
	cmd := &cobra.Command{Use: "get KEY", Short: "Print a key's value", Args: cobra.ExactArgs(1)}
	d.staleFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return d.ask(cmd, func(ctx context.Context, kv cli.KV) (cli.Answer, error) {
			item, err := kv.Get(ctx, args[0])
			return cli.Answer{Value: item, Table: func(out io.Writer) error {
				_, err := fmt.Fprintln(out, item.Value)
				return err
			}}, err
		})
	}
	return cmd
}

func (d *kvDoor) list() *cobra.Command {
	cmd := &cobra.Command{Use: "list [PREFIX]", Short: "Print all keys, or those that begin with a prefix", Args: cobra.MaximumNArgs(1)}
	d.staleFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return d.ask(cmd, func(ctx context.Context, kv cli.KV) (cli.Answer, error) {
			list, err := kv.List(ctx, optional(args))
			return cli.Answer{Value: list, Table: func(out io.Writer) error { return cli.WriteItems(out, list.Items) }}, err
		})
	}
	return cmd
}

func optional(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

func (d *kvDoor) put() *cobra.Command {
	cmd := &cobra.Command{
		Use: "put KEY VALUE", Short: "Write a value; - reads it from the standard input", Args: cobra.ExactArgs(2),
	}
	absent := cmd.Flags().Bool("absent", false, "only if there is no such key")
	at := cmd.Flags().Uint64("at", 0, "only if the key was last written at this revision")
	cmd.MarkFlagsMutuallyExclusive("absent", "at")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		value, err := argument(cmd.InOrStdin(), args[1])
		if err != nil {
			return err
		}
		w := state.Write{Key: args[0], Value: value, If: atRevision(cmd, *at)}
		if *absent {
			w.If.Kind = state.IfAbsent
		}
		return d.write(cmd, w)
	}
	return cmd
}

// argument is a value from the command line, or from the standard input.
func argument(in io.Reader, text string) (string, error) {
	if text != "-" {
		return text, nil
	}
	data, err := io.ReadAll(io.LimitReader(in, state.MaxValue+1)) // the check of the write refuses one that is longer
	if err != nil {
		return "", fmt.Errorf("read the value: %w", err)
	}
	return string(data), nil
}

// atRevision is the condition that the flag --at gives.
func atRevision(cmd *cobra.Command, revision uint64) state.Condition {
	if !cmd.Flags().Changed("at") {
		return state.Condition{}
	}
	return state.Condition{Kind: state.IfRevision, Revision: revision}
}

func (d *kvDoor) cas() *cobra.Command {
	return &cobra.Command{
		Use: "cas KEY OLD NEW", Short: "Write NEW if the key holds OLD", Args: cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			return d.write(cmd, state.Write{Key: args[0], Value: args[2], If: state.Condition{Kind: state.IfValue, Value: args[1]}})
		},
	}
}

func (d *kvDoor) delete() *cobra.Command {
	cmd := &cobra.Command{Use: "delete KEY", Short: "Remove a key", Args: cobra.ExactArgs(1)}
	at := cmd.Flags().Uint64("at", 0, "only if the key was last written at this revision")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return d.write(cmd, state.Write{Key: args[0], Delete: true, If: atRevision(cmd, *at)})
	}
	return cmd
}

func (d *kvDoor) write(cmd *cobra.Command, w state.Write) error {
	return d.ask(cmd, func(ctx context.Context, kv cli.KV) (cli.Answer, error) {
		revision, err := kv.Write(ctx, w)
		return cli.Answer{Value: api.Written{Key: w.Key, Revision: revision}, Table: func(out io.Writer) error {
			_, err := fmt.Fprintf(out, "revision %d\n", revision)
			return err
		}}, err
	})
}

func (d *kvDoor) watch() *cobra.Command {
	cmd := &cobra.Command{Use: "watch [KEY]", Short: "Print the changes of a key until Ctrl-C", Args: cobra.MaximumNArgs(1)}
	prefix := cmd.Flags().Bool("prefix", false, "of all keys that begin with KEY; without a KEY, of all keys")
	from := cmd.Flags().Uint64("from", 0, "revision to begin at (default: now)")
	d.staleFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return d.within(cmd, 0, func(ctx context.Context, c *cli.Client) error {
			kv := cli.KV{Client: c, Stale: d.stale}
			return kv.Watch(ctx, optional(args), *prefix || len(args) == 0, *from, func(c cli.Change) error {
				return d.output.Write(cmd.OutOrStdout(), cli.Answer{Value: c, Table: func(out io.Writer) error { return line(out, c) }})
			})
		})
	}
	return cmd
}

func line(out io.Writer, c cli.Change) error {
	switch c.Kind {
	case api.EventCompacted:
		fmt.Fprintf(out, "changes up to revision %d are forgotten; what holds now:\n", c.Present.Revision)
		return cli.WriteItems(out, c.Present.Items)
	case api.EventDelete:
		_, err := fmt.Fprintf(out, "%d delete %s\n", c.Item.Revision, c.Item.Key)
		return err
	}
	_, err := fmt.Fprintf(out, "%d put %s %q\n", c.Item.Revision, c.Item.Key, c.Item.Value)
	return err
}
