package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"picket/config"
	"picket/config/sentinelconf"
	"picket/sentinel"
	"picket/sentinel/cli"
)

// importer turns the files of a Sentinel group into configurations.
type importer struct {
	out, dir       string
	cluster        string
	force, inline  bool
	shadow         bool
	hosts          []string
	output         cli.Format
	stdout, stderr io.Writer
}

func importCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import FILE...",
		Short: "Turn the sentinel.conf files of a Redis Sentinel group into one configuration for each agent",
		Long: `Turn the sentinel.conf files of a Redis Sentinel group, one for each host, into one configuration for each agent.

Each agent's picket.yaml is written into a directory of its own below --out, with its passwords beside it in files that only their owner may read. What
has no counterpart, and what the files disagree on, is told with the file and the line. Without --out the one file's configuration is printed.`,
		Args: cobra.MinimumNArgs(1),
	}
	i := &importer{}
	cmd.Flags().StringVar(&i.out, "out", "", "`directory` to write to; each agent has one below it")
	cmd.Flags().StringVar(&i.dir, "dir", "", "`directory` in which the files will be on the agents' hosts, such as /etc/picket (default: where they are written)")
	cmd.Flags().BoolVar(&i.force, "force", false, "overwrite files that there are")
	cmd.Flags().BoolVar(&i.inline, "inline-secrets", false, "write passwords into picket.yaml itself")
	cmd.Flags().BoolVar(&i.shadow, "shadow", false, "for agents that only watch at first, beside the Sentinels and on other ports than theirs")
	cmd.Flags().StringArrayVar(&i.hosts, "host", nil, "the address of a Sentinel's host, as `FILE=ADDRESS`, where the files do not say it")
	cmd.Flags().StringVar(&i.cluster, "cluster", "picket", "name of the agents' group")
	outputFlag(cmd.Flags(), &i.output)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		i.stdout, i.stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
		return i.run(args)
	}
	return cmd
}

func (i *importer) run(files []string) error {
	options := sentinelconf.Options{Cluster: i.cluster, Inline: i.inline, Shadow: i.shadow, Hosts: map[string]string{}}
	for _, h := range i.hosts {
		file, host, _ := strings.Cut(h, "=")
		if file == "" || host == "" {
			return usageError{fmt.Errorf("--host %q is not FILE=ADDRESS", h)}
		}
		options.Hosts[file] = host
	}
	if err := i.checkFlags(files); err != nil {
		return err
	}
	where, err := filepath.Abs(i.out)
	if err != nil {
		return err
	}
	options.Dir = func(id string) string {
		if i.dir != "" {
			return i.dir
		}
		return filepath.Join(where, id)
	}
	imported, err := sentinelconf.Convert(files, options)
	if err != nil {
		return err
	}
	if i.out == "" {
		return i.print(imported)
	}
	report, err := i.write(imported)
	if err != nil {
		return err
	}
	if err := i.output.Write(i.stdout, cli.Answer{Value: report, Table: report.Table}); err != nil {
		return err
	}
	return check(files, options)
}

// checkFlags refuses what does not go together.
func (i *importer) checkFlags(files []string) error {
	switch {
	case i.out == "" && len(files) > 1:
		return usageError{errors.New("several files become several configurations: name a directory for them with --out")}
	case i.out == "" && (i.force || i.dir != ""):
		return usageError{errors.New("--force and --dir are about files: name a directory for them with --out")}
	case i.dir != "" && !filepath.IsAbs(i.dir):
		return usageError{fmt.Errorf("--dir %s is not a whole path", i.dir)}
	}
	return nil
}

// print writes the only configuration to the standard output, and the rest to the other one. Its secrets must be in it.
func (i *importer) print(imported *sentinelconf.Import) error {
	if a := imported.Agents[0]; len(a.Secrets) > 0 {
		return usageError{fmt.Errorf("%s holds passwords, which go into files of their own: name a directory for them with --out, or have them printed with --inline-secrets", a.Source)}
	}
	report := cli.Imported{Notes: cli.NotesOf(imported.Notes)}
	if err := report.Table(i.stderr); err != nil {
		return err
	}
	_, err := i.stdout.Write(imported.Agents[0].Config)
	return err
}

// write writes all files, or none if one is there already.
func (i *importer) write(imported *sentinelconf.Import) (report cli.Imported, err error) {
	type file struct {
		path string
		text []byte
	}
	var all []file
	for _, a := range imported.Agents {
		dir := filepath.Join(i.out, a.ID)
		all = append(all, file{filepath.Join(dir, "picket.yaml"), a.Config})
		one := cli.ImportedAgent{ID: a.ID, Source: a.Source, File: all[len(all)-1].path, Secrets: []string{}}
		for _, s := range a.Secrets {
			all = append(all, file{filepath.Join(dir, s.Name), []byte(s.Text + "\n")})
			one.Secrets = append(one.Secrets, all[len(all)-1].path)
		}
		report.Agents = append(report.Agents, one)
	}
	for _, f := range all {
		if _, err := os.Lstat(f.path); err == nil && !i.force {
			return report, usageError{fmt.Errorf("%s is there already, and nothing was written: take another --out, or overwrite it with --force", f.path)}
		}
	}
	for _, f := range all {
		if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
			return report, err
		}
		if err := replace(f.path, f.text); err != nil {
			return report, err
		}
	}
	report.Notes = cli.NotesOf(imported.Notes)
	return report, nil
}

// replace writes a file that only its owner may read, at once or not at all: a link, or whoever may read what was there, gets nothing.
func replace(path string, text []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".picket-*") // 0600
	if err != nil {
		return err
	}
	_, err = temp.Write(text)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return nil
}

// check says what `picket config check` would on the agents' hosts, with the secrets in a directory of the moment.
func check(files []string, options sentinelconf.Options) (err error) {
	scratch, err := os.MkdirTemp("", "picket-import-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	options.Dir = func(id string) string { return filepath.Join(scratch, id) }
	imported, err := sentinelconf.Convert(files, options)
	if err != nil {
		return err
	}
	all := &config.Error{}
	for _, a := range imported.Agents {
		path := filepath.Join(scratch, a.ID, "picket.yaml")
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		for _, s := range append(a.Secrets, sentinelconf.Secret{Name: "picket.yaml", Text: string(a.Config)}) {
			if err := os.WriteFile(filepath.Join(filepath.Dir(path), s.Name), []byte(s.Text), 0o600); err != nil {
				return err
			}
		}
		cfg, err := config.Load(path, nil)
		if err == nil {
			err = sentinel.Check(cfg, path)
		}
		if bad := (*config.Error)(nil); errors.As(err, &bad) {
			for _, p := range bad.Problems {
				p.File = filepath.Join(a.ID, "picket.yaml")
				all.Problems = append(all.Problems, p)
			}
		} else if err != nil {
			return err
		}
	}
	if len(all.Problems) > 0 {
		return fmt.Errorf("the files are written, but seen from this host %w\nput right what is meant, and look again on the agents' hosts: picket config check FILE", all)
	}
	return nil
}
