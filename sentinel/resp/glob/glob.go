// Package glob matches names with patterns as Redis does.
package glob

// Match says whether a text matches a pattern as Redis understands it: * ? [a-z] [^x] and \ before a character
// that means itself. It takes time in proportion to the product of their lengths at most.
func Match(pattern, text string) bool {
	p, t := 0, 0
	star, resume := -1, 0 // the last star, and where the text goes on if it takes one character more
	for t < len(text) {
		if p < len(pattern) && pattern[p] == '*' {
			star, resume = p, t
			p++
			continue
		}
		if p < len(pattern) {
			if length, ok := one(pattern[p:], text[t]); ok {
				p, t = p+length, t+1
				continue
			}
		}
		if star < 0 {
			return false
		}
		resume++
		p, t = star+1, resume
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// one matches the first element of a pattern, which is no star, against a character, and says how long
// the element is.
func one(pattern string, c byte) (length int, ok bool) {
	switch {
	case pattern[0] == '?':
		return 1, true
	case pattern[0] == '[':
		return class(pattern, c)
	case pattern[0] == '\\' && len(pattern) > 1:
		return 2, pattern[1] == c
	}
	return 1, pattern[0] == c
}

// class matches the class at the beginning of a pattern. Where its end is missing, it reaches to the
// pattern's end.
func class(pattern string, c byte) (length int, ok bool) {
	i, found := 1, false
	not := i < len(pattern) && pattern[i] == '^'
	if not {
		i++
	}
	for ; i < len(pattern) && pattern[i] != ']'; i++ {
		low, high := pattern[i], pattern[i]
		switch {
		case low == '\\' && i+1 < len(pattern):
			i++
			low, high = pattern[i], pattern[i]
		case i+2 < len(pattern) && pattern[i+1] == '-':
			i += 2
			low, high = min(low, pattern[i]), max(low, pattern[i])
		}
		found = found || low <= c && c <= high
	}
	return min(i+1, len(pattern)), found != not
}
