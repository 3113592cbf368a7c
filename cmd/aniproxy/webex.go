package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"aniproxy/internal/webexflow"
)

type webexCommand struct {
	Flow webexFlowCommand `cmd:"" help:"Write a flow for Webex Contact Center that asks this proxy. Not tried against a tenant."`
}

type webexFlowCommand struct {
	URL          string `name:"url" required:"" help:"Where Webex reaches the proxy: https, or http on loopback." placeholder:"https://aniproxy.example.com"`
	Queue        string `required:"" help:"Id of the queue that takes a call where no rule names another, and where something fails." placeholder:"QUEUE_ID"`
	Connector    string `default:"aniproxy" help:"Name or id of the HTTP connector at Webex." placeholder:"NAME_OR_ID"`
	Format       string `enum:"both,v2,ui" default:"both" help:"v2 is imported through Webex's API, ui by hand in the Flow Designer; both in the current folder where left out."`
	Out          string `help:"File to write; takes a --format. A dash writes to standard output." placeholder:"FILE"`
	Lang         string `default:"auto" help:"Language of all calls; \"auto\" lets the caller's own language in Zendesk decide." placeholder:"TAG"`
	Menu         string `help:"Wording of the menu in that language: 1 for an agent, 2 to end the call." placeholder:"TEXT"`
	InsecureHTTP bool   `name:"insecure-http" help:"Allow http beyond loopback: the secret and the caller's number cross the network in the clear."`
}

// The files that are written where --out names none.
const (
	flowFileV2 = "aniproxy.flow.v2.json"
	flowFileUI = "aniproxy.flow.ui.json"
)

func (k *webexFlowCommand) Run(c *console) error {
	if k.Out != "" && k.Format == "both" {
		return &exit{code: exitUsage, text: "--out names one file: say which with --format v2 or --format ui"}
	}
	flow, err := webexflow.Build(webexflow.Options{
		URL: k.URL, InsecureHTTP: k.InsecureHTTP, Queue: k.Queue, Connector: k.Connector, Lang: k.Lang, Menu: k.Menu,
	})
	var option *webexflow.OptionError
	if errors.As(err, &option) {
		return &exit{code: exitUsage, text: option.Error()}
	}
	if err != nil {
		return err
	}
	if wrong := webexflow.Check(flow); len(wrong) > 0 {
		return fmt.Errorf("the flow would not hold together, so that nothing is written:\n%s", strings.Join(wrong, "\n"))
	}
	return k.write(c, flow)
}

// write writes what was asked for, and says what to do with it.
func (k *webexFlowCommand) write(c *console, flow *webexflow.Flow) error {
	formats := []struct {
		name, file string
		write      func() ([]byte, error)
	}{
		{"v2", flowFileV2, flow.V2},
		{"ui", flowFileUI, flow.UI},
	}
	for _, f := range formats {
		if k.Format != "both" && k.Format != f.name {
			continue
		}
		text, err := f.write()
		if err != nil {
			return err
		}
		if k.Out == "-" {
			_, err = c.out.Write(text)
			return err
		}
		file := f.file
		if k.Out != "" {
			file = k.Out
		}
		said, err := replace(file, text)
		if err != nil {
			return err
		}
		c.printf("%-10s %s\n", said, file)
	}
	k.next(c, flow)
	return nil
}

// replace writes a file, unless it says the same already.
func replace(file string, text []byte) (said string, err error) {
	before, err := os.ReadFile(file)
	switch {
	case err == nil && bytes.Equal(before, text):
		return "unchanged", nil
	case err == nil:
		said = "replaced"
	default:
		said = "wrote"
	}
	return said, os.WriteFile(file, text, 0o600)
}

// next tells what is left to do by hand.
func (k *webexFlowCommand) next(c *console, flow *webexflow.Flow) {
	c.printf("\n%s. Have somebody read the flow before it takes calls.\n\n", webexflow.NotTried)
	c.printf("1. Webex needs an HTTP connector for %s: Basic, validation URL /v1/lookup?ani=anonymous,\n", flow.Origin)
	c.printf("   user and password a client of scopes lookup and comment (aniproxy key new).\n")
	step := 2
	if k.Format != "v2" {
		c.printf("%d. In the Flow Designer: Manage Flows, Import, the ui file.\n", step)
		step++
	}
	if k.Format != "ui" {
		c.printf("%d. Or through the API: POST …/v2/flows:validate with the v2 file, then …/v2/flows:import.\n", step)
		step++
	}
	c.printf("%d. Choose the connector %q in Lookup and Comment, look at the queues, add the skill to\n", step, flow.Connector)
	c.printf("   QueueBySkill if you route by one, and bind Global_Language and Global_VoiceName.\n")
	c.printf("%d. Publish it for a test number first. docs/webex.md (docs/webex.es.md) says all of it.\n", step+1)
}
