package config

import (
	"maps"
	"reflect"
	"slices"
)

// File is the path of the file that was read, "" where there was none and
// defaults and environment are all.
func (c *Config) File() string { return c.file }

// KeyFiles are the files that clients' digests and webhooks' secrets stand in,
// each once. They are files of their own so that something else can replace
// them while the daemon runs.
func (c *Config) KeyFiles() []string {
	var files []string
	add := func(path string) {
		if path != "" && !slices.Contains(files, path) {
			files = append(files, path)
		}
	}
	for i := range c.Clients {
		add(c.Clients[i].SecretSHA256File)
	}
	add(c.Webhook.SecretsFile)
	return files
}

// RereadKeys is the configuration with what stands in some of its [KeyFiles]
// as these files are now, held to the same checks; all else is as it was
// loaded. It does not read the configuration's own file. c stays as it is. The
// error is a [*Faults].
func (c *Config) RereadKeys(changed func(file string) bool) (*Config, error) {
	return c.rereadKeys(changed, readAtMost)
}

func (c *Config) rereadKeys(changed func(file string) bool, read reader) (*Config, error) {
	next := *c
	next.Clients, next.origins = slices.Clone(c.Clients), maps.Clone(c.origins)
	if next.origins == nil {
		next.origins = map[string]origin{}
	}
	l := &loader{file: c.file, config: &next, bad: map[string]bool{}, read: read}
	for i := range next.Clients {
		if one := &next.Clients[i]; one.SecretSHA256File != "" && changed(one.SecretSHA256File) {
			one.SecretSHA256 = nil // what stands beside a file came from it
			l.readSecrets(reflect.ValueOf(one).Elem(), item("clients", i))
		}
	}
	if w := &next.Webhook; w.SecretsFile != "" && changed(w.SecretsFile) {
		w.Secrets = nil
		l.readSecrets(reflect.ValueOf(w).Elem(), "webhook")
	}
	l.checkClients()
	l.checkWebhook()
	if len(l.faults) > 0 {
		return nil, l.allFaults()
	}
	return &next, nil
}

// Differences names the keys of two configurations that differ, in the order
// of the reference: "zendesk.subdomain", and a table of the user's own or a
// list of tables as one, such as "routing.rules". Secrets are compared as they
// are and not shown.
func Differences(a, b *Config) []string {
	return differences("", reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem())
}

func differences(path string, a, b reflect.Value) (keys []string) {
	for _, f := range fieldsOf(a.Type()) {
		was, is, at := a.Field(f.index), b.Field(f.index), join(path, f.name)
		switch {
		case f.isTable():
			keys = append(keys, differences(at, was, is)...)
		case (f.isList() || f.isMap()) && was.Len() == 0 && is.Len() == 0: // whether nil or empty
		case !reflect.DeepEqual(was.Interface(), is.Interface()):
			keys = append(keys, at)
		}
	}
	return keys
}
