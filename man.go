package main

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand writes manual pages, for packages.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write the manual pages into a directory", Args: cobra.ExactArgs(1), Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil { //nolint:gosec // manuals are for everybody
				return err
			}
			root := cmd.Root()
			each(root, func(cmd *cobra.Command) { cmd.DisableAutoGenTag = true })
			return doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "picket " + buildVersion(), Manual: "Picket"}, args[0])
		},
	}
}
