// Package sentinelconf reads the configuration of Redis Sentinel and Valkey's, and makes of it what Picket's configuration holds: a
// config.Layer around the YAML file, and what concerns the process, such as its log file.
//
// Every directive is applied, accepted without effect, or refused with its line, the reason and what to do; where the lack of an effect
// matters there is a warning. Directives that Sentinel does not know either are refused. What Sentinel itself had written, such as known
// replicas and epochs, is accepted: the replicas are hints, the rest is known better.
//
// Read looks at files and nothing else. Rewrite is pure: it gives a file's new text, and whoever calls it writes that.
package sentinelconf
