package main

import (
	"errors"
	"fmt"

	"aniproxy/internal/config"
)

// configFlag is how every command that reads the configuration names its file.
type configFlag struct {
	Config string `default:"config.toml" help:"Configuration file." placeholder:"FILE"`
}

// load reads the configuration. A file is required, unless it is the default
// one: everything can be given by the environment.
func (f *configFlag) load(c *console) (*config.Config, error) {
	cfg, err := config.Load(f.Config, c.env, f.Config != "config.toml")
	var faults *config.Faults
	if errors.As(err, &faults) {
		return nil, &exit{code: exitFailed, text: "the configuration is not valid:\n" + faults.Error()}
	}
	return cfg, err
}

type configCommand struct {
	Check configCheckCommand `cmd:"" help:"Every fault with its line, or the configuration in force, secrets masked, and what serve still lacks."`
}

type configCheckCommand struct{ configFlag }

func (k *configCheckCommand) Run(c *console) error {
	cfg, err := k.load(c)
	if err != nil {
		return err
	}
	if _, err = newPolicy(cfg); err != nil {
		return &exit{code: exitFailed, text: "the daemon does not start with this:\n" + err.Error()}
	}
	c.printf("%s", cfg.Effective())
	for _, w := range cfg.Warnings() {
		_, _ = fmt.Fprintf(c.errors, "warning: %s\n", w)
	}
	for _, w := range doubts(cfg) {
		_, _ = fmt.Fprintf(c.errors, "warning: %s\n", w)
	}
	if err := cfg.ReadyToServe(); err != nil {
		_, _ = fmt.Fprintf(c.errors, "warning: the daemon does not start yet:\n%s\n", err)
	}
	return nil
}
