// Package config says what a configuration file may hold: the types, their defaults, and the
// validation that names file, key, value and remedy. Its types are plain data that every other
// package may read; the file is never written.
package config
