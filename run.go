package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"picket/config"
	"picket/config/sentinelconf"
	"picket/sentinel"
	"picket/sentinel/cli"
)

func runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "run", Short: "Run the agent of this host", Args: cobra.NoArgs,
		Long: "Run the agent of this host.\n\nWith --sentinel-conf FILE it is what Redis Sentinel would be with that file; further --DIRECTIVE VALUE … stand over the file, " +
			"as on Sentinel's\ncommand line. Where picket is started under the name redis-sentinel or valkey-sentinel, it takes their command line: " +
			"redis-sentinel FILE [--DIRECTIVE VALUE …].",
	}
	path := configFlag(cmd)
	config.RegisterFlags(cmd.Flags())
	like := sentinelFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, process, err := load(cmd, *path, like, true)
		if err != nil {
			return err
		}
		return run(cmd.Context(), cfg, process)
	}
	return cmd
}

// process is what concerns the process rather than the agent.
type process struct {
	config  string // the file that warnings are about
	log     io.Writer
	syslog  sentinelconf.Syslog
	pidFile string                         // empty: none
	load    func() (*config.Config, error) // reads the configuration again; nil: it can't be
	files   []string                       // that it is read from
	// startable says why the agent could not start from another text of its sentinel.conf; nil: there is none.
	startable func(text []byte) error
}

// load reads the configuration, and the sentinel.conf around it if there is one; then the process moves to where that says, if it is to.
func load(cmd *cobra.Command, path string, like *likeSentinel, move bool) (*config.Config, process, error) {
	p := process{config: path, log: cmd.ErrOrStderr()}
	if !cmd.Flags().Changed(sentinelConfFlag) {
		p.files = []string{path}
		p.load = func() (*config.Config, error) {
			cfg, err := config.Load(path, cmd.Flags())
			if err == nil {
				err = sentinel.Check(cfg, path)
			}
			return cfg, err
		}
		cfg, err := p.load()
		return cfg, p, err
	}
	source, err := like.source(cmd.InOrStdin())
	if err != nil {
		return nil, p, err
	}
	if source.Dir, err = os.Getwd(); err != nil { // it is another one when the file is looked at again
		return nil, p, err
	}
	conf, err := sentinelconf.Read(source)
	if err != nil {
		return nil, p, err
	}
	usual := cmd.Flags().Lookup("config") // nil: the file is an argument
	if path, err = yamlBeside(path, usual == nil || usual.Changed); err != nil {
		return nil, p, err
	}
	if move && conf.Dir != "" {
		if err := os.Chdir(conf.Dir); err != nil {
			return nil, p, fmt.Errorf("%s: dir: %w; make the directory, for the user that runs this", conf.Layer.File, err)
		}
	}
	cfg, err := around(conf, path, cmd.Flags())
	if source.Input == nil { // else it can't be read again
		p.files = slices.DeleteFunc([]string{source.File, path}, func(f string) bool { return f == "" })
		p.load = func() (*config.Config, error) {
			conf, err := sentinelconf.Read(source)
			if err != nil {
				return nil, err
			}
			return around(conf, path, cmd.Flags())
		}
	}
	p.startable = func(text []byte) error {
		given := source
		given.Contents = text
		conf, err := sentinelconf.Read(given)
		if err == nil {
			_, err = around(conf, path, cmd.Flags())
		}
		return err
	}
	p.config, p.pidFile, p.syslog = conf.Layer.File, conf.PIDFile, conf.Syslog
	switch {
	case conf.LogFile != "":
		p.log = logFile(conf.LogFile)
	case conf.Standard:
		p.log = cmd.OutOrStdout()
	}
	return cfg, p, err
}

// around makes the configuration of a sentinel.conf and the file that adds to it.
func around(conf *sentinelconf.Conf, path string, flags *pflag.FlagSet) (*config.Config, error) {
	cfg, err := config.LoadLayer(path, conf.Layer, flags)
	if err == nil {
		err = sentinel.Check(cfg, conf.Layer.File)
	}
	return cfg, err
}

// yamlBeside gives the whole path of the YAML file that adds to a sentinel.conf; empty: nobody asked for one, and none is at the usual place.
func yamlBeside(path string, asked bool) (string, error) {
	if path == "" {
		return "", nil
	}
	if _, err := os.Stat(path); !asked && errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return filepath.Abs(path)
}

// run runs the agent until ctx ends.
func run(ctx context.Context, cfg *config.Config, p process) error {
	if file, ok := p.log.(logFile); ok {
		if err := file.try(); err != nil {
			return err
		}
	}
	lines := &formatter{out: p.log}
	lines.set(cfg.Log)
	log := newLogger(cfg.Log, lines)
	if p.syslog.Enabled {
		log = alsoToSyslog(log, lines, p.syslog)
	}
	for _, warning := range cfg.Warnings() {
		line := log.Warn()
		if !strings.HasPrefix(warning, p.config+":") {
			line = line.Str("file", p.config)
		}
		line.Msg(warning)
	}
	pid := &pidFile{log: log, path: p.pidFile}
	ready := make(chan struct{})
	agent, err := sentinel.New(cfg, sentinel.Host{Startable: p.startable, Ready: func() { pid.write(); close(ready) }}, log, buildVersion())
	if err != nil {
		return err
	}
	defer pid.remove()
	minder := newMinder(cfg, p, agent, lines, log)
	defer minder.start(ready)()
	defer context.AfterFunc(ctx, func() { minder.tell(daemon.SdNotifyStopping) })()
	return agent.Run(ctx)
}

// pidFile tells others the process's id. As with Redis Sentinel, nothing depends on it.
type pidFile struct {
	log     zerolog.Logger
	path    string // empty: there is none
	written bool
}

// write is called when the agent is ready: who starts another one by mistake, which ends at once, doesn't lose the file of the first.
func (f *pidFile) write() {
	if f.path == "" {
		return
	}
	if err := os.WriteFile(f.path, f.text(), 0o644); err != nil { //nolint:gosec // others must find the process
		f.log.Warn().Err(err).Msg("there is no PID file")
		return
	}
	f.written = true
}

func (f *pidFile) text() []byte { return fmt.Appendln(nil, os.Getpid()) }

// remove leaves what another process has written since.
func (f *pidFile) remove() {
	if !f.written {
		return
	}
	text, err := os.ReadFile(f.path)
	if err == nil && bytes.Equal(text, f.text()) {
		err = os.Remove(f.path)
	}
	if err != nil {
		f.log.Warn().Err(err).Msg("the PID file stays")
	}
}

func checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "check FILE", Short: "Say everything that is wrong with a file", Args: cobra.MaximumNArgs(1),
		Long: "Say everything that is wrong with a file; or with a sentinel.conf, --sentinel-conf FILE [--DIRECTIVE VALUE …], and the file that adds to it.",
	}
	config.RegisterFlags(cmd.Flags())
	like := sentinelFlags(cmd)
	var output cli.Format
	outputFlag(cmd.Flags(), &output)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path := ""
		if len(args) > 0 {
			path = args[0]
		} else if !cmd.Flags().Changed(sentinelConfFlag) {
			return usageError{errors.New("name the file that is to be checked")}
		}
		cfg, p, err := load(cmd, path, like, false)
		if err != nil {
			return err
		}
		c := checked{p.config, cfg.Agent.ID, len(cfg.Agents), len(cfg.Masters), append([]string{}, cfg.Warnings()...)}
		return output.Write(cmd.OutOrStdout(), cli.Answer{Value: c, Table: c.table})
	}
	return cmd
}

// checked is a configuration in which nothing is wrong.
type checked struct {
	File     string   `json:"file"`
	Agent    string   `json:"agent"`
	Agents   int      `json:"agents"`
	Masters  int      `json:"masters"`
	Warnings []string `json:"warnings"`
}

func (c checked) table(out io.Writer) error {
	for _, warning := range c.Warnings {
		place := ": "
		if rest, own := strings.CutPrefix(warning, c.File+":"); own { // it begins with the file and the line
			place, warning, _ = strings.Cut(":"+rest, " ")
			place += " "
		}
		fmt.Fprintf(out, "%s%swarning: %s\n", c.File, place, warning)
	}
	_, err := fmt.Fprintf(out, "%s: valid; agent %s of %d, %d masters\n", c.File, c.Agent, c.Agents, c.Masters)
	return err
}
