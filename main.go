// Command picket keeps Redis and Valkey masters available: one agent beside every server.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"syscall"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"picket/config"
	"picket/sentinel/cli"
	"picket/sentinel/demo"
)

// version is set by the linker; see the Makefile.
var version = ""

func main() {
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	root := command()
	root.SetArgs(arguments(root, os.Args))
	err := execute(ctx, root)
	if err != nil {
		fmt.Fprintln(os.Stderr, "picket:", err)
	}
	os.Exit(exitCode(err))
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "picket",
		Short:         "Failover for Redis and Valkey, decided by Raft, in the shape of Redis Sentinel",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(runCommand(), demoCommand(), statusCommand(), failoverCommand(), switchoverCommand(), forgetCommand(), shadowCommand(), whyCommand(), planCommand(), salvageCommand(),
		pauseCommand(), resumeCommand(), acknowledgeCommand(),
		membersCommand(), webhooksCommand(), eventsCommand(), historyCommand(), kvCommand(), configCommand(), versionCommand(), manCommand())
	illustrate(root)
	completions(root)
	return root
}

// configFlag adds the flag that all commands that read a configuration share.
func configFlag(cmd *cobra.Command) *string {
	return cmd.Flags().StringP("config", "c", defaultConfig, "configuration file (YAML, TOML or JSON)")
}

const defaultConfig = "/etc/picket/picket.yaml"

// newLogger logs for the process. How much the agent logs is its own affair.
func newLogger(cfg config.Log, out io.Writer) zerolog.Logger {
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00" // a failover is told in milliseconds
	level, err := zerolog.ParseLevel(cfg.Level)
	if err != nil {
		level = zerolog.InfoLevel // the configuration was validated; be loud rather than silent
	}
	return zerolog.New(out).Level(level).With().Timestamp().Logger()
}

// formatter writes lines in the format that the configuration asks for, which may be another one at any time.
type formatter struct {
	out io.Writer
	now atomic.Pointer[io.Writer]
}

func (f *formatter) set(cfg config.Log) {
	w := logWriter(cfg, f.out)
	f.now.Store(&w)
}

// Write implements io.Writer.
func (f *formatter) Write(line []byte) (int, error) { return (*f.now.Load()).Write(line) }

// logWriter writes lines in the format that is asked for.
func logWriter(cfg config.Log, out io.Writer) io.Writer {
	if cfg.Format != "console" {
		return out
	}
	console := zerolog.ConsoleWriter{Out: out, TimeFormat: "15:04:05.000"}
	switch out := out.(type) {
	case logFile: // is read on other days, too, and without colours
		console.TimeFormat, console.NoColor = zerolog.TimeFieldFormat, true
	case *os.File:
		info, err := out.Stat()
		console.NoColor = err == nil && info.Mode()&os.ModeCharDevice == 0 // whoever collects what is said sees no colours
	}
	return console
}

func demoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show a failover: three Redis servers and three agents on loopback, and a master that dies",
		Args:  cobra.NoArgs,
	}
	once := cmd.Flags().Bool("once", false, "end after the failover")
	keep := cmd.Flags().Bool("keep", false, "leave logs and configuration behind")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		program, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this program, which runs the agents: %w", err)
		}
		return demo.Run(cmd.Context(), demo.Options{Program: program, Once: *once, Keep: *keep, Out: cmd.OutOrStdout()})
	}
	return cmd
}

func configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Check a configuration, or print a documented one"}
	example := &cobra.Command{Use: "example", Short: "Print a configuration with every key explained", Args: cobra.NoArgs}
	example.RunE = func(cmd *cobra.Command, _ []string) error {
		_, err := cmd.OutOrStdout().Write(config.Example())
		return err
	}
	cmd.AddCommand(checkCommand(), example, importCommand(), exportCommand())
	return cmd
}

// built says what this program is.
type built struct {
	Version string `json:"version"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
	Go      string `json:"go"`
}

func versionCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs}
	var output cli.Format
	outputFlag(cmd.Flags(), &output)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		b := built{buildVersion(), runtime.GOOS, runtime.GOARCH, runtime.Version()}
		return output.Write(cmd.OutOrStdout(), cli.Answer{Value: b, Table: func(out io.Writer) error {
			_, err := fmt.Fprintf(out, "picket %s %s/%s %s\n", b.Version, b.OS, b.Arch, b.Go)
			return err
		}})
	}
	return cmd
}

// buildVersion falls back to what the go tool recorded.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "devel"
}
