package acl

import (
	"errors"
	"fmt"
	"strings"
)

// Parse reads the text of a file of users into a new list; path is for the error, which is Redis's. Where there is an error, the list is of
// no use. The default user stays as it is if the file doesn't speak of it.
func (l *List) Parse(path, text string) error {
	seen := map[string]bool{}
	var problems []string
	for i, line := range strings.Split(text, "\n") {
		line = strings.Trim(line, " \t\r")
		if line == "" {
			continue
		}
		words := strings.Split(line, " ")
		if words[0] != "user" || len(words) < 2 {
			problems = append(problems, fmt.Sprintf("%s:%d should start with user keyword followed by the username.", path, i+1))
			continue
		}
		name, rules := words[1], words[2:]
		if seen[name] {
			problems = append(problems, fmt.Sprintf("WARNING: Duplicate user '%s' found on line %d.", name, i+1))
			continue
		}
		seen[name] = true
		if err := l.Replace(name, rules...); err != nil {
			problems = append(problems, fmt.Sprintf("%s:%d: %s.", path, i+1, inFile(err)))
		}
	}
	if len(problems) > 0 {
		return errors.New(strings.Join(problems, " ") + " WARNING: ACL errors detected, no change to the previously active ACL rules was performed")
	}
	return nil
}

// inFile names the rule where Redis does.
func inFile(err error) string {
	var rule *RuleError
	if errors.As(err, &rule) && rule.Text == unknownName {
		return fmt.Sprintf("Error in applying operation '%s': %s", rule.Rule, rule.Text)
	}
	return err.Error()
}

// Text is what Parse reads.
func (l *List) Text() string { return strings.Join(l.Lines(), "\n") + "\n" }

// Words splits the rest of a line of a file: a name and rules.
func Words(line string) (name string, rules []string) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return "", nil
	}
	return words[0], words[1:]
}
