// Package config turns defaults, config.toml and the environment into one
// checked [Config].
//
// The structs of sections.go and routing.go are the schema: each field's tags
// give its key, its default and what is allowed. Everything else reads them:
// the binder that fills a Config from the file, the environment names, the
// messages, the effective configuration, and the test that holds config.toml
// to them.
//
// [Load] goes through these steps and collects every [Fault] on the way,
// because an operator who mends one line at a time starts a daemon ten times:
//
//  1. the file is parsed into a tree in which every value knows its line;
//  2. the tree is bound to the structs: unknown keys, wrong types, ranges;
//  3. the environment goes over it, ANIPROXY_SECTION_KEY;
//  4. secrets that live in files of their own are read;
//  5. what only several keys together can tell is checked.
//
// What the file says and what the machine has are two things: Load reads no
// certificate and asks nobody. [Config.ReadyToServe] says what a daemon still
// lacks, so that the shipped config.toml, which names no account, is without
// faults and yet does not start one.
//
// Nothing here is global and a Config is not changed once loaded, so that a
// running daemon can load a second one beside the first.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
)

// Config is the whole configuration, section by section, checked. It is safe
// for concurrent reading. Its formatted forms (%v, %+v) show no secret.
type Config struct {
	Server   Server            `toml:"server"`
	Clients  []Client          `toml:"clients"`
	Zendesk  Zendesk           `toml:"zendesk"`
	Phone    Phone             `toml:"phone"`
	Cache    Cache             `toml:"cache"`
	Store    Store             `toml:"store"`
	Sync     Sync              `toml:"sync"`
	Live     Live              `toml:"live"`
	Match    Match             `toml:"match"`
	Ticket   Ticket            `toml:"ticket"`
	Speech   Speech            `toml:"speech"`
	Agents   map[string]string `toml:"agents" keys:"email" maxlen:"128" private:"true"`
	Routing  Routing           `toml:"routing"`
	Comments Comments          `toml:"comments"`
	Webhook  Webhook           `toml:"webhook"`
	Log      Log               `toml:"log"`

	file    string
	origins map[string]origin
}

// origin is where a value that is not the default came from.
type origin struct {
	line int    // of the file, 0 where the environment gave it
	env  string // the variable's name
	note string // for the effective configuration, "" where there is nothing to add
}

const (
	// maxFile bounds config.toml: a thousand clients and rules are a tenth of it.
	maxFile = 4 << 20
	// maxSecretFile bounds a file of secrets: a path that names a device by
	// mistake must not fill the memory.
	maxSecretFile = 64 << 10
)

// Load reads the file at path, lays env over it (each entry NAME=value, as
// os.Environ gives it) and checks the whole. A file that is not there is a
// fault only where it is required, that is where the user named it. Relative
// paths, in the file too, are relative to the working directory.
//
// The error is a [*Faults] with everything found.
func Load(path string, env []string, required bool) (*Config, error) {
	doc, err := readAtMost(path, maxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !required:
		return load("", nil, env, readAtMost)
	case err != nil:
		return nil, &Faults{List: []Fault{{File: path, Message: "cannot be read: " + cause(err)}}}
	}
	return load(path, doc, env, readAtMost)
}

// Defaults is the configuration of a daemon that nobody has told anything.
func Defaults() *Config {
	c := &Config{}
	setDefaults(reflect.ValueOf(c).Elem())
	return c
}

// Fault makes a fault of a key that another package found at fault, such as
// the wording of a template, with the place it was written at. The key is a
// path as in "speech.templates.es.greeting"; the place of the nearest table
// above stands in where the key itself was not written.
func (c *Config) Fault(key, message string) Fault {
	return faultAt(c.file, c.origins, key, message)
}

// load is Load without the disk: read fetches the files that secrets stand in.
func load(file string, doc []byte, env []string, read reader) (*Config, error) {
	l := &loader{
		file:   file,
		config: Defaults(),
		bad:    map[string]bool{},
		read:   read,
	}
	l.config.file, l.config.origins = file, map[string]origin{}

	tree, fault := parseTree(file, doc)
	if fault != nil {
		// What a torn file says is not known, so nothing is concluded from it;
		// the environment can be read all the same.
		l.faults = append(l.faults, *fault)
		l.bindEnvironment(env)
		return nil, l.allFaults()
	}
	l.bindTable(tree, "", reflect.ValueOf(l.config).Elem())
	l.bindEnvironment(env)
	l.readSecrets(reflect.ValueOf(l.config).Elem(), "")
	l.check()
	if len(l.faults) > 0 {
		return nil, l.allFaults()
	}
	return l.config, nil
}

// loader is one Load under way.
type loader struct {
	file   string
	config *Config
	faults []Fault
	bad    map[string]bool // keys with a fault, of which nothing more is concluded
	read   reader
}

// reader reads a file of at most so many bytes.
type reader func(path string, limit int64) ([]byte, error)

var errTooLarge = errors.New("file is too large")

func readAtMost(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, fmt.Errorf("%w: more than %d bytes", errTooLarge, limit)
	}
	return b.Bytes(), nil
}

// cause is an error of the file system without the path, which stands before
// the message already.
func cause(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}
