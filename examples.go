package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// examples are of every command, by its path; docs/cli.md shows them, and a test runs those that can be run on any cluster.
var examples = map[string]string{
	"run":                "picket run\npicket run --config /etc/picket/picket.yaml --log-format json",
	"demo":               "picket demo --once",
	"status":             "picket status\npicket status --watch\npicket status -o json",
	"failover":           "picket failover mymaster\npicket failover mymaster --allow-data-loss",
	"switchover":         "picket switchover mymaster\npicket switchover mymaster --at 03:00\npicket switchover mymaster --cancel",
	"forget":             "picket forget mymaster 10.0.0.9:6379",
	"shadow":             "picket shadow\npicket shadow -o yaml",
	"why":                "picket why\npicket why mymaster\npicket why mymaster -o yaml",
	"plan":               "picket plan mymaster --fail 10.0.0.1:6379",
	"salvage":            "picket salvage list",
	"salvage list":       "picket salvage list\npicket salvage list -o json",
	"salvage show":       "picket salvage show mymaster/42.salvage -o commands",
	"pause":              "picket pause mymaster --for 10m --reason \"new rack\"\npicket pause",
	"resume":             "picket resume mymaster\npicket resume",
	"acknowledge":        "picket acknowledge mymaster",
	"members":            "picket members list",
	"members list":       "picket members list\npicket members list --watch",
	"members add":        "picket members add agent-4 10.0.0.4:26380",
	"members remove":     "picket members remove agent-4",
	"members promote":    "picket members promote agent-4",
	"members transfer":   "picket members transfer agent-2",
	"events":             "picket events\npicket events --follow --master mymaster --type 'failover.*'\npicket events --limit 5 -o json",
	"history":            "picket history\npicket history --master mymaster -o yaml",
	"kv":                 "picket kv list",
	"kv get":             "picket kv put example/colour blue\npicket kv get example/colour",
	"kv list":            "picket kv list example/\npicket kv list -o json",
	"kv put":             "picket kv put example/colour blue",
	"kv cas":             "picket kv put example/colour blue\npicket kv cas example/colour blue green",
	"kv delete":          "picket kv put example/colour blue\npicket kv delete example/colour",
	"kv watch":           "picket kv watch example/ --prefix",
	"config":             "picket config check /etc/picket/picket.yaml",
	"config check":       "picket config check /etc/picket/picket.yaml",
	"config example":     "picket config example > /etc/picket/picket.yaml",
	"config import":      "picket config import host-1/sentinel.conf host-2/sentinel.conf host-3/sentinel.conf --out configurations --dir /etc/picket",
	"config export":      "picket config export --base /etc/redis/sentinel.conf --out sentinel.conf",
	"webhooks":           "picket webhooks list",
	"webhooks list":      "picket webhooks list",
	"webhooks dead":      "picket webhooks dead ops",
	"webhooks test":      "picket webhooks test ops",
	"webhooks enable":    "picket webhooks enable ops",
	"webhooks redeliver": "picket webhooks redeliver ops --dead",
	"webhooks drop":      "picket webhooks drop ops --all",
	"version":            "picket version\npicket version -o json",
	"man":                "picket man /usr/local/share/man/man1",
}

// illustrate gives the commands their examples.
func illustrate(root *cobra.Command) {
	each(root, func(cmd *cobra.Command) {
		if text, ok := examples[strings.TrimPrefix(cmd.CommandPath(), root.Name()+" ")]; ok {
			cmd.Example = "  " + strings.ReplaceAll(text, "\n", "\n  ")
		}
	})
}
