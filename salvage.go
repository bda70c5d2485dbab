package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"picket/config"
	"picket/sentinel"
	"picket/sentinel/cli"
)

func salvageCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "salvage", Short: "Show what former masters had written and nobody else has, as this host's agent kept it"}
	path := cmd.PersistentFlags().StringP("config", "c", defaultConfig, "configuration file, for the agent's data directory")
	dir := cmd.PersistentFlags().String("dir", "", "directory of the files (default: salvage below agent.data-dir of the configuration)")
	where := func() (string, error) {
		if *dir != "" {
			return *dir, nil
		}
		cfg, err := config.Load(*path, nil)
		if err != nil {
			return "", err
		}
		return sentinel.SalvageDir(cfg.Agent.DataDir), nil
	}
	cmd.AddCommand(salvageList(where), salvageShow(where))
	return cmd
}

func salvageList(where func() (string, error)) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the files", Args: cobra.NoArgs}
	var output cli.Format
	outputFlag(cmd.Flags(), &output)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		dir, err := where()
		if err != nil {
			return err
		}
		list, err := cli.ListSalvage(dir)
		if err != nil {
			return err
		}
		return output.Write(cmd.OutOrStdout(), cli.Answer{Value: list, Table: func(out io.Writer) error { return cli.WriteSalvage(out, list) }})
	}
	return cmd
}

func salvageShow(where func() (string, error)) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show FILE",
		Short: "Decode the commands of a file; nothing is replayed",
		Long:  "Decode the commands of a file, as listed or by its path. Nothing is replayed: that is up to you, by redis-cli and -o commands.",
		Args:  cobra.ExactArgs(1),
	}
	output := cmd.Flags().StringP("output", "o", string(cli.Table), "how to print them: table, json, yaml, or commands (as redis-cli reads them)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		format := cli.Format(*output)
		if err := format.Set(*output); err != nil && format != cli.Commands {
			return usageError{fmt.Errorf("--output is one of table, json, yaml and commands, not %q", *output)}
		}
		file := args[0]
		if _, err := os.Stat(file); err != nil && !filepath.IsAbs(file) {
			dir, err := where()
			if err != nil {
				return err
			}
			file = filepath.Join(dir, file)
		}
		return cli.ShowSalvage(cmd.OutOrStdout(), file, format)
	}
	return cmd
}
