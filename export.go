package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"picket/config"
	"picket/config/sentinelconf"
	"picket/sentinel/cli"
	"picket/sentinel/picture"
)

func exportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the sentinel.conf from which Redis Sentinel could go on in the place of this host's agent",
		Long: `Write the sentinel.conf from which Redis Sentinel could go on in the place of this host's agent: the masters as they are now, their replicas, the other
agents and the epochs as the agent knows them, and the port, the users and the passwords of the configuration. With --base a file of Sentinel's is kept
but for what has changed.`,
		Args: cobra.NoArgs,
	}
	d := newDoor(cmd.Flags())
	_ = cmd.Flags().MarkHidden("output") // it has one form
	base := cmd.Flags().String("base", "", "the sentinel.conf `file` of before, whose other lines are kept")
	out := cmd.Flags().String("out", "", "`file` to write (default: the standard output)")
	force := cmd.Flags().Bool("force", false, "overwrite a file that there is")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := doors(d.config)
		if err != nil {
			return err
		}
		return d.within(cmd, orderTimeout, func(ctx context.Context, c *cli.Client) error {
			p, err := cli.Fetch(ctx, c.Only())
			if err != nil {
				return err
			}
			text, err := export(cfg, p, *base, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if *out == "" {
				_, err := io.WriteString(cmd.OutOrStdout(), text)
				return err
			}
			if _, err := os.Lstat(*out); err == nil && !*force {
				return usageError{fmt.Errorf("%s is there already, and stays as it is: take another --out, or overwrite it with --force", *out)}
			}
			return replaceLike(*out, []byte(text))
		})
	}
	return cmd
}

// export gives the text.
func export(cfg *config.Config, p picture.Picture, base string, notes io.Writer) (string, error) {
	switch {
	case cfg.Agent.ID == "" || cfg.Agent.ID != p.Agent:
		return "", usageError{fmt.Errorf("the agent that answers is %s, and the configuration is of %q: run it on the agent's host, with its configuration (-c)", p.Agent, cfg.Agent.ID)}
	case p.Shadow:
		return "", usageError{errors.New("these agents only watch, so the Sentinels' own files are right")}
	}
	text := sentinelconf.Base(cfg)
	if base != "" {
		kept, err := os.ReadFile(base)
		if err != nil {
			return "", usageError{fmt.Errorf("--base: %w", err)}
		}
		text = string(kept)
	}
	text, err := sentinelconf.Rewrite(text, known(cfg, p, notes))
	if err != nil {
		return "", usageError{fmt.Errorf("--base %s: %w", base, err)}
	}
	return text, nil
}

// known is what the agent knows, with what its configuration alone says: users, passwords, scripts, renamed commands.
func known(cfg *config.Config, p picture.Picture, notes io.Writer) sentinelconf.Known {
	k := sentinelconf.Known{}
	var peers []sentinelconf.KnownPeer
	for _, a := range p.Agents {
		if a.Self {
			k.MyID = a.MyID
		} else if a.Host != "" {
			peers = append(peers, sentinelconf.KnownPeer{ID: a.MyID, Host: a.Host, Port: a.SentinelPort})
		}
	}
	for _, m := range p.Masters {
		settings := config.MonitoredMaster()
		settings.Name = m.Name
		listed := false
		for _, s := range cfg.Masters {
			if s.Name == m.Name {
				settings, listed = s, true
			}
		}
		if !listed {
			fmt.Fprintf(notes, "%s was made known at run time: add its auth-user, auth-pass, scripts and renamed commands yourself, if it has any\n", m.Name)
		}
		settings.PasswordFile = "" // what is in it belongs into this one
		settings.Quorum, settings.ParallelSyncs = m.Quorum, m.Options.ParallelSyncs
		settings.DownAfter = time.Duration(m.Options.DownAfterMS) * time.Millisecond
		settings.FailoverTimeout = time.Duration(m.Options.FailoverTimeoutMS) * time.Millisecond
		settings.RebootDownAfter = time.Duration(m.Options.RebootDownAfterMS) * time.Millisecond
		one := sentinelconf.KnownMaster{Settings: &settings, Address: m.Server.Addr, Epoch: m.Epoch, Peers: peers}
		for _, r := range m.Replicas {
			one.Replicas = append(one.Replicas, r.Addr)
		}
		k.Epoch = max(k.Epoch, m.Epoch)
		k.Masters = append(k.Masters, one)
	}
	return k
}

// replaceLike writes a file with the owner and the rights of the one that it replaces; a new one belongs to this user alone.
func replaceLike(path string, text []byte) error {
	before, err := os.Stat(path)
	if err := replace(path, text); err != nil {
		return err
	}
	if err != nil {
		return nil // there was none
	}
	return errors.Join(os.Chmod(path, before.Mode().Perm()), chownLike(path, before))
}

// chownLike gives a file the owner that another one had.
func chownLike(path string, like fs.FileInfo) error {
	owner, ok := like.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return os.Chown(path, int(owner.Uid), int(owner.Gid))
}
