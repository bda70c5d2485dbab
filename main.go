// Command picket keeps Redis and Valkey masters available: one agent beside every server.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"picket/config"
	"picket/sentinel"
	"picket/sentinel/api"
	"picket/sentinel/cli"
	"picket/sentinel/demo"
)

// version is set by the linker; see the Makefile.
var version = ""

// Exit codes.
const (
	exitFailure   = 1
	exitBadConfig = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	root := command()
	root.SetArgs(arguments(root, os.Args))
	err := root.ExecuteContext(ctx)
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "picket:", err)
	if bad := (*config.Error)(nil); errors.As(err, &bad) {
		os.Exit(exitBadConfig)
	}
	os.Exit(exitFailure)
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "picket",
		Short:         "Failover for Redis and Valkey, decided by Raft, in the shape of Redis Sentinel",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(runCommand(), demoCommand(), statusCommand(), failoverCommand(), switchoverCommand(), forgetCommand(), whyCommand(), planCommand(), salvageCommand(),
		pauseCommand(), resumeCommand(), acknowledgeCommand(),
		membersCommand(), kvCommand(), configCommand(), versionCommand())
	return root
}

// configFlag adds the flag that all commands that read a configuration share.
func configFlag(cmd *cobra.Command) *string {
	return cmd.Flags().StringP("config", "c", defaultConfig, "configuration file (YAML, TOML or JSON)")
}

const defaultConfig = "/etc/picket/picket.yaml"

func newLogger(cfg config.Log, out io.Writer) zerolog.Logger {
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00" // a failover is told in milliseconds
	level, err := zerolog.ParseLevel(cfg.Level)
	if err != nil {
		level = zerolog.InfoLevel // the configuration was validated; be loud rather than silent
	}
	return zerolog.New(logWriter(cfg, out)).Level(level).With().Timestamp().Logger()
}

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

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "status", Short: "Show masters, replicas and agents", Args: cobra.NoArgs}
	path := configFlag(cmd)
	agent := cmd.Flags().String("agent", "", "HTTP address of an agent (default: listen.http of the configuration)")
	watch := cmd.Flags().BoolP("watch", "w", false, "show it again each second until Ctrl-C")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		addr, err := httpDoor(*path, *agent)
		if err != nil {
			return err
		}
		if *watch {
			return cli.Watch(cmd.Context(), cmd.OutOrStdout(), addr, time.Second)
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), 5*time.Second)
		defer cancel()
		picture, err := cli.Fetch(ctx, addr)
		if err != nil {
			return err
		}
		return cli.Status(cmd.OutOrStdout(), picture)
	}
	return cmd
}

func failoverCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "failover NAME",
		Short: "Fail a master over to its best replica, whatever its health",
		Args:  cobra.ExactArgs(1),
	}
	path := configFlag(cmd)
	addr := cmd.Flags().String("sentinel", "", "Sentinel address of an agent (default: listen.sentinel of the configuration)")
	password := cmd.Flags().String("password-file", "", "file with the password of the Sentinel port, with --sentinel")
	agent := cmd.Flags().String("agent", "", "with --allow-data-loss: HTTP address of an agent (default: listen.http of the configuration)")
	allow := cmd.Flags().Bool("allow-data-loss", false, "go on without replicas that may hold writes which clients have waited for")
	timeout := cmd.Flags().Duration("timeout", time.Minute, "how long to wait for its end")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *allow {
			return forceFailover(cmd, *path, *agent, args[0], *timeout)
		}
		door, err := sentinelDoor(*path, config.Addr(*addr), *password)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), *timeout)
		defer cancel()
		return cli.Failover(ctx, cmd.OutOrStdout(), door, args[0])
	}
	return cmd
}

// forceFailover accepts that writes are lost.
func forceFailover(cmd *cobra.Command, path, agent, master string, timeout time.Duration) error {
	door, err := httpDoor(path, agent)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
	defer cancel()
	return cli.Orders{Agent: door, Who: operator()}.Failover(ctx, cmd.OutOrStdout(), api.FailoverOrder{Master: master, AllowDataLoss: true})
}

// sentinelDoor finds the Sentinel port and its password: as the flags say, else as the configuration says.
func sentinelDoor(path string, addr config.Addr, passwordFile string) (cli.Door, error) {
	if addr != "" {
		if passwordFile == "" {
			return cli.Door{Addr: addr}, nil
		}
		secret, err := config.ReadSecret(passwordFile)
		return cli.Door{Addr: addr, Password: secret}, err
	}
	cfg, err := doors(path)
	if err != nil {
		return cli.Door{}, err
	}
	door := cli.Door{Addr: reachable(cfg.Listen.Sentinel), Password: cfg.Sentinel.Password}
	if cfg.Listen.Sentinel == "" {
		door.Addr = reachable(cfg.Listen.SentinelTLS)
		door.TLS, err = sentinel.OwnDoor(cfg)
	}
	return door, err
}

// httpDoor finds an agent's HTTP port: as the flag says, else as the configuration says.
func httpDoor(path, addr string) (config.Addr, error) {
	if addr != "" {
		return config.Addr(addr), nil
	}
	cfg, err := doors(path)
	if err != nil {
		return "", err
	}
	return reachable(cfg.Listen.HTTP), nil
}

// doors is a configuration that says where the agent of this host can be reached: the defaults, where there is no file at the usual place, because
// the agent runs from a sentinel.conf alone.
func doors(path string) (*config.Config, error) {
	if _, err := os.Stat(path); path == defaultConfig && errors.Is(err, os.ErrNotExist) {
		cfg := config.Default()
		return &cfg, nil
	}
	return config.Load(path, nil)
}

// reachable turns a listening address on all interfaces into one that can be dialled from here.
func reachable(a config.Addr) config.Addr {
	switch a.Host() {
	case "0.0.0.0", "":
		return config.NewAddr("127.0.0.1", a.Port())
	case "::":
		return config.NewAddr("::1", a.Port())
	}
	return a
}

func configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Check a configuration, or print a documented one"}
	example := &cobra.Command{Use: "example", Short: "Print a configuration with every key explained", Args: cobra.NoArgs}
	example.RunE = func(cmd *cobra.Command, _ []string) error {
		_, err := cmd.OutOrStdout().Write(config.Example())
		return err
	}
	cmd.AddCommand(checkCommand(), example)
	return cmd
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "picket %s %s/%s %s\n", buildVersion(), runtime.GOOS, runtime.GOARCH,
				runtime.Version())
			return err
		},
	}
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
