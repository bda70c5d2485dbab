package sentinelconf

import "strings"

// Overrides makes lines of the directives on a command line, as Redis does: --port 26380 is the line "port 26380". What follows a name is its
// argument even where it begins with two dashes. extra is what belongs to no directive: what stands before the first.
func Overrides(args []string) (lines, extra []string) {
	complete := true // the last directive has an argument, or needs none
	for i, arg := range args {
		if !complete || !strings.HasPrefix(arg, "--") {
			if len(lines) == 0 {
				extra = append(extra, arg)
				continue
			}
			lines[len(lines)-1] += " " + Quote(arg)
			complete = true
			continue
		}
		line := strings.TrimPrefix(arg, "--")
		last := i+1 == len(args)
		complete = strings.Contains(strings.TrimSpace(line), " ")
		if bare := strings.ToLower(strings.TrimSpace(line)); (bare == "save" || bare == sentinelWord) && (last || strings.HasPrefix(args[i+1], "--")) {
			complete = true // it means none at all, and the mode
			if bare == "save" {
				line += ` ""`
			}
		}
		lines = append(lines, line)
	}
	return lines, extra
}
