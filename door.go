package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"picket/config"
	"picket/sentinel"
	"picket/sentinel/cli"
)

// orderTimeout bounds a command that waits for nothing but an agent's answer; the agent itself gives up earlier.
const orderTimeout = 10 * time.Second

// door is how a command reaches the agents, and how it shows what they answer.
type door struct {
	flags     *pflag.FlagSet
	config    string
	agents    []string
	tokenFile string
	ca        string
	cert, key string
	output    cli.Format
}

// newDoor adds its flags.
func newDoor(flags *pflag.FlagSet) *door {
	d := &door{flags: flags}
	flags.StringVarP(&d.config, "config", "c", defaultConfig, "configuration file, for the agents' addresses, tokens and TLS")
	flags.StringSliceVar(&d.agents, "agent", nil, "HTTP `address` of an agent, HOST:PORT; of several, the first that answers (default: those of the configuration)")
	flags.StringVar(&d.tokenFile, "token-file", "", "`file` with the bearer token for the agents' HTTP ports")
	flags.StringVar(&d.ca, "ca", "", "PEM `file` of the certificates that sign the agents'; the agents are asked with TLS")
	flags.StringVar(&d.cert, "cert", "", "PEM `file` of the certificate to show to the agents")
	flags.StringVar(&d.key, "key", "", "PEM `file` of its key")
	outputFlag(flags, &d.output)
	return d
}

func outputFlag(flags *pflag.FlagSet, output *cli.Format) {
	*output = cli.Table
	flags.VarP(output, "output", "o", "how to print it: table, json or yaml")
}

// client reaches the agents as the flags say, and for the rest as the configuration says. What takes long is told to notes.
func (d *door) client(notes io.Writer) (*cli.Client, error) {
	access := cli.Access{Notes: notes}
	own := config.Addr("")
	for _, a := range d.agents {
		access.Agents = append(access.Agents, config.Addr(a))
	}
	if len(d.agents) == 0 || d.flags.Changed("config") {
		cfg, err := doors(d.config)
		if err != nil {
			return nil, err
		}
		own = reachable(cfg.Listen.HTTP)
		if len(d.agents) == 0 {
			access.Agents = agentsOf(cfg)
		}
		if err := authorize(&access, cfg); err != nil {
			return nil, err
		}
		if len(access.Agents) == 0 {
			return nil, usageError{errors.New("this host's agent has no HTTP port, which this command speaks to: set listen.http, or name another agent with --agent HOST:PORT; " +
				"the Sentinel port takes `redis-cli SENTINEL FAILOVER NAME`")}
		}
	}
	if err := d.identify(&access); err != nil {
		return nil, err
	}
	if access.Token != "" && access.TLS == nil && d.tokenFile == "" {
		if err := d.stayHere(&access, own); err != nil {
			return nil, err
		}
	}
	return cli.New(access), nil
}

// stayHere leaves only this host's agents, so that the configuration's token does not cross the network as it is.
func (d *door) stayHere(access *cli.Access, own config.Addr) error {
	elsewhere := func(a config.Addr) bool { return !a.Loopback() && a != own }
	if !slices.ContainsFunc(access.Agents, elsewhere) {
		return nil
	}
	if len(d.agents) > 0 {
		return usageError{fmt.Errorf("without TLS the token of %s would cross the network as it is: configure http.tls, or give the token with --token-file if you want that", d.config)}
	}
	access.Agents = slices.DeleteFunc(access.Agents, elsewhere)
	return nil
}

// authorize takes from a configuration what its agent lets in: the token that may do the most, and the agents' certificates.
func authorize(access *cli.Access, cfg *config.Config) error {
	best := -1
	for _, t := range cfg.HTTP.Tokens {
		if rank := slices.Index([]string{config.RoleRead, config.RoleOperate, config.RoleAdmin}, t.Role); rank > best {
			best, access.Token = rank, t.Token
		}
	}
	if cfg.HTTP.TLS.Cert == "" {
		return nil
	}
	own, err := sentinel.OwnDoor(cfg)
	if err != nil {
		return usageError{err}
	}
	others := &tls.Config{Certificates: own.Certificates, MinVersion: tls.VersionTLS12}
	if cfg.HTTP.TLS.CA != "" {
		if others.RootCAs, err = authorities(cfg.HTTP.TLS.CA); err != nil {
			return usageError{fmt.Errorf("http.tls.ca: %w", err)}
		}
	}
	access.TLS = func(agent config.Addr) *tls.Config {
		if agent == reachable(cfg.Listen.HTTP) {
			return own
		}
		return others
	}
	return nil
}

// authorities reads certificates that sign others.
func authorities(path string) (*x509.CertPool, error) {
	bundle, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(bundle) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", path)
	}
	return pool, nil
}

// identify adds what the flags say of who asks, and of whom to believe.
func (d *door) identify(access *cli.Access) error {
	if d.tokenFile != "" {
		token, err := config.ReadSecret(d.tokenFile)
		if err != nil {
			return usageError{fmt.Errorf("--token-file: %w", err)}
		}
		access.Token = token
	}
	if d.ca == "" && d.cert == "" && d.key == "" {
		return nil
	}
	if (d.cert == "") != (d.key == "") {
		return usageError{errors.New("--cert and --key belong together: give both")}
	}
	own := &tls.Config{MinVersion: tls.VersionTLS12}
	if d.ca != "" {
		var err error
		if own.RootCAs, err = authorities(d.ca); err != nil {
			return usageError{fmt.Errorf("--ca: %w", err)}
		}
	}
	if d.cert != "" {
		pair, err := tls.LoadX509KeyPair(d.cert, d.key)
		if err != nil {
			return usageError{fmt.Errorf("--cert, --key: %w", err)}
		}
		own.Certificates = []tls.Certificate{pair}
	}
	access.TLS = func(config.Addr) *tls.Config { return own }
	return nil
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

// agentsOf lists the HTTP ports of a configuration's agents, that of this host first. The others' are known where this one does not listen on its own
// host only: then they are taken to listen on the same port.
func agentsOf(cfg *config.Config) []config.Addr {
	own := cfg.Listen.HTTP
	if own == "" {
		return nil
	}
	agents := []config.Addr{reachable(own)}
	if own.Loopback() {
		return agents
	}
	for _, a := range cfg.Agents {
		if a.ID != cfg.Agent.ID {
			agents = append(agents, config.NewAddr(a.Address.Host(), own.Port()))
		}
	}
	return agents
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

// ask puts a question to the agents and shows the answer.
func (d *door) ask(cmd *cobra.Command, question func(context.Context, *cli.Client) (cli.Answer, error)) error {
	return d.within(cmd, orderTimeout, func(ctx context.Context, c *cli.Client) error {
		a, err := question(ctx, c)
		if err != nil {
			return err
		}
		return d.output.Write(cmd.OutOrStdout(), a)
	})
}

// within does something with the agents for so long; 0: for as long as it takes.
func (d *door) within(cmd *cobra.Command, limit time.Duration, do func(context.Context, *cli.Client) error) error {
	c, err := d.client(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer c.Close()
	ctx := cmd.Context()
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	return do(ctx, c)
}
