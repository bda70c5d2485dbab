package sentinelconf

import "strings"

// Overrides makes lines of the directives on a command line, as Redis does: --port 26380 is the line "port 26380". What follows a name is its
// argument even where it begins with two dashes. rest is what belongs to no directive: what stands before the first, and, of what begins with a dash, as
// many words as own says of what follows.
func Overrides(args []string, own func(args []string) int) (lines, rest []string) {
	complete := true // the last directive has an argument, or needs none
	for len(args) > 0 {
		arg, after := args[0], args[1:]
		mine := 0
		if complete && own != nil && strings.HasPrefix(arg, "-") {
			mine = min(own(args), len(args))
		}
		switch {
		case mine > 0:
			rest, after = append(rest, args[:mine]...), args[mine:]
		case complete && strings.HasPrefix(arg, "--"):
			line, whole := begun(arg, after)
			lines, complete = append(lines, line), whole
		case len(lines) == 0:
			rest = append(rest, arg)
		default:
			lines[len(lines)-1] += " " + Quote(arg)
			complete = true
		}
		args = after
	}
	return lines, rest
}

// begun is a line that begins with a directive's name. It is complete where the word holds arguments, too, or the directive needs none.
func begun(arg string, after []string) (line string, complete bool) {
	line = strings.TrimSpace(strings.TrimPrefix(arg, "--"))
	alone := len(after) == 0 || strings.HasPrefix(after[0], "--")
	switch {
	case strings.EqualFold(line, "save") && alone:
		return line + ` ""`, true
	case strings.EqualFold(line, sentinelWord) && alone:
		return line, true // it only says which program this is
	}
	return line, strings.Contains(line, " ")
}
