//go:build race

package scale

const raced = true
