package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"aniproxy/internal/buildinfo"
	"aniproxy/internal/config"
	"aniproxy/internal/origin"
	"aniproxy/internal/zendesk"
)

type webhookCommand struct {
	Install webhookInstallCommand `cmd:"" help:"Create the two webhooks and the trigger that aniproxy listens to in Zendesk; what is there already is brought up to date."`
}

type webhookInstallCommand struct {
	configFlag
	URL         string `name:"url" help:"Where Zendesk reaches the proxy, https; left out, it is taken from server.acme_domains." placeholder:"https://ani.example.com"`
	SecretsFile string `help:"Write the signing secrets to this file instead of showing them, and set webhook.secrets_file to it then; left out, it is the file that the configuration names, once that is there." placeholder:"FILE"`
	Replace     bool   `help:"Take the webhooks over from another address that they post to."`
	DryRun      bool   `help:"Show what would be done, and do nothing."`
}

// webhookPath is the route that the proxy takes webhooks in at.
const webhookPath = "/webhooks/zendesk"

// The names by which what was installed is found again.
const (
	eventsName  = "aniproxy events"
	triggerName = "aniproxy ticket trigger"
)

// triggerBody is what the trigger's webhook sends: ids, and nothing of anybody.
const triggerBody = `{"ticket_id":"{{ticket.id}}"}`

// subscriptions are the events that can change an answer. A phone has no event
// of its own: the export brings it.
var subscriptions = []string{
	"zen:event-type:ticket.agent_assignment_changed", "zen:event-type:ticket.brand_changed",
	"zen:event-type:ticket.created", "zen:event-type:ticket.custom_status_changed",
	"zen:event-type:ticket.form_changed", "zen:event-type:ticket.group_assignment_changed",
	"zen:event-type:ticket.marked_as_spam", "zen:event-type:ticket.merged",
	"zen:event-type:ticket.organization_changed", "zen:event-type:ticket.permanently_deleted",
	"zen:event-type:ticket.priority_changed", "zen:event-type:ticket.requester_changed",
	"zen:event-type:ticket.soft_deleted", "zen:event-type:ticket.status_changed",
	"zen:event-type:ticket.subject_changed", "zen:event-type:ticket.tags_changed",
	"zen:event-type:ticket.type_changed", "zen:event-type:ticket.undeleted",
	"zen:event-type:user.active_changed", "zen:event-type:user.created", "zen:event-type:user.deleted",
	"zen:event-type:user.identity_changed", "zen:event-type:user.identity_created",
	"zen:event-type:user.identity_deleted", "zen:event-type:user.merged", "zen:event-type:user.name_changed",
	"zen:event-type:user.role_changed", "zen:event-type:user.suspended_changed", "zen:event-type:user.tags_changed",
}

func (k *webhookInstallCommand) Run(c *console) error {
	cfg, err := k.load(c)
	if err != nil {
		return err
	}
	endpoint, err := k.endpoint(cfg)
	if err != nil {
		return err
	}
	if cfg.Zendesk.Origin() == "" || cfg.Zendesk.Credentials() == config.NoCredential {
		return &exit{code: exitFailed, text: "the configuration names no account and credentials: [zendesk] in config.toml"}
	}
	client, err := zendesk.New(clientSettings(cfg))
	if err != nil {
		return err
	}
	defer client.Close()
	i := installer{c: c, zendesk: client.As(zendesk.Comments), endpoint: endpoint, dry: k.DryRun, replace: k.Replace, file: cmp.Or(k.SecretsFile, cfg.Webhook.SecretsFile)}
	return i.run(c.ctx)
}

// endpoint is where Zendesk is to send.
func (k *webhookInstallCommand) endpoint(cfg *config.Config) (string, error) {
	base := k.URL
	if base == "" && len(cfg.Server.ACMEDomains) > 0 {
		base = "https://" + cfg.Server.ACMEDomains[0]
	}
	if base == "" {
		if k.DryRun {
			return "https://YOUR-PROXY" + webhookPath, nil
		}
		return "", &exit{code: exitUsage, text: "--url says where Zendesk reaches the proxy, for example --url https://ani.example.com"}
	}
	u, err := origin.Parse(strings.TrimSuffix(base, webhookPath))
	if err != nil || u.Scheme != "https" {
		return "", &exit{code: exitUsage, text: "--url is an https URL that Zendesk can reach, without a path, such as https://ani.example.com"}
	}
	return u.String() + webhookPath, nil
}

// shown is an address as another webhook has it, fit to be printed: whoever
// wrote it may have put a password or a token into it.
func shown(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "an address that cannot be read"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// installer brings the account to what the proxy listens to.
type installer struct {
	c        *console
	zendesk  *zendesk.Client
	endpoint string
	dry      bool
	replace  bool
	file     string // where the secrets go, "" shows them
}

func (i *installer) run(ctx context.Context) error {
	have, err := i.zendesk.ListWebhooks(ctx)
	if err != nil {
		return i.explained("list the webhooks", err)
	}
	events, err := i.webhook(ctx, have, zendesk.NewWebhook{
		Name: eventsName, Endpoint: i.endpoint, Subscriptions: subscriptions,
		Description: "Tells aniproxy which people and tickets have changed: ids alone.",
	})
	if err != nil {
		return err
	}
	onTrigger, err := i.webhook(ctx, have, zendesk.NewWebhook{
		Name: triggerName, Endpoint: i.endpoint, Subscriptions: []string{zendesk.OnTrigger},
		Description: "Tells aniproxy of each new and changed ticket by a trigger: the id alone.",
	})
	if err != nil {
		return err
	}
	if err := i.trigger(ctx, onTrigger); err != nil {
		return err
	}
	if i.dry {
		i.c.printf("\nNothing was changed: leave --dry-run out to do it.\n")
		return nil
	}
	return i.secrets(ctx, events, onTrigger)
}

// webhook creates a webhook, or brings the one of its name up to date, and
// returns its id.
func (i *installer) webhook(ctx context.Context, have []zendesk.Webhook, want zendesk.NewWebhook) (string, error) {
	at := slices.IndexFunc(have, func(h zendesk.Webhook) bool { return h.Name == want.Name })
	if at < 0 {
		i.say("create", "webhook %q to %s: %s", want.Name, want.Endpoint, enumerated(want.Subscriptions))
		if i.dry {
			return "", nil
		}
		made, err := i.zendesk.CreateWebhook(ctx, want)
		if err != nil {
			return "", i.explained("create the webhook", err)
		}
		return made.ID, nil
	}
	is := have[at]
	slices.Sort(is.Subscriptions)
	if is.Endpoint == want.Endpoint && is.Status == zendesk.WebhookActive && slices.Equal(is.Subscriptions, want.Subscriptions) {
		i.say("keep", "webhook %q: it is as it should be", want.Name)
		return is.ID, nil
	}
	if is.Endpoint != want.Endpoint && !i.replace {
		return "", &exit{code: exitFailed, text: fmt.Sprintf(
			"webhook %q is there and posts to %s; --replace has it post to %s instead (another proxy may be listening there)",
			want.Name, shown(is.Endpoint), want.Endpoint)}
	}
	i.say("change", "webhook %q to %s: %s", want.Name, want.Endpoint, enumerated(want.Subscriptions))
	if i.dry {
		return is.ID, nil
	}
	change := zendesk.WebhookChange{Endpoint: want.Endpoint, Status: zendesk.WebhookActive, Subscriptions: want.Subscriptions}
	if err := i.zendesk.UpdateWebhook(ctx, is.ID, change); err != nil {
		return "", i.explained("change the webhook", err)
	}
	return is.ID, nil
}

// trigger has every creation and update of a ticket told to the webhook.
func (i *installer) trigger(ctx context.Context, webhookID string) error {
	want := zendesk.NewTrigger{Title: triggerName, Active: true, WebhookID: webhookID, Body: triggerBody, Conditions: zendesk.Conditions{
		Any: []zendesk.Condition{
			{Field: "update_type", Operator: "is", Value: "Create"},
			{Field: "update_type", Operator: "is", Value: "Change"},
		},
	}}
	have, err := i.zendesk.ListTriggers(ctx)
	if err != nil {
		return i.explained("list the triggers", err)
	}
	at := slices.IndexFunc(have, func(h zendesk.Trigger) bool { return h.Title == triggerName })
	switch {
	case at < 0:
		i.say("create", "trigger %q: on every new and changed ticket, send %s", triggerName, triggerBody)
		if i.dry {
			return nil
		}
		if _, err := i.zendesk.CreateTrigger(ctx, want); err != nil {
			return i.explained("create the trigger", err)
		}
	case upToDate(&have[at], want):
		i.say("keep", "trigger %q: it is as it should be", triggerName)
	default:
		i.say("change", "trigger %q: on every new and changed ticket, send %s", triggerName, triggerBody)
		if i.dry {
			return nil
		}
		if _, err := i.zendesk.UpdateTrigger(ctx, have[at].ID, want); err != nil {
			return i.explained("change the trigger", err)
		}
	}
	return nil
}

// upToDate tells whether a trigger does what it should.
func upToDate(have *zendesk.Trigger, want zendesk.NewTrigger) bool {
	id, body := have.Notification()
	return have.Active && id == want.WebhookID && body == want.Body && slices.Equal(have.Conditions.Any, want.Conditions.Any) && len(have.Conditions.All) == 0
}

// secrets fetches what deliveries are signed with and puts it where the
// configuration says, or says where it goes.
func (i *installer) secrets(ctx context.Context, ids ...string) error {
	all := make([]string, 0, len(ids))
	for _, id := range ids {
		secret, err := i.zendesk.WebhookSecret(ctx, id)
		if err != nil {
			return i.explained("read the webhook's secret", err)
		}
		all = append(all, secret)
	}
	if i.file != "" {
		if err := writeSecrets(i.file, all); err != nil {
			return err
		}
		i.c.printf("\nThe two signing secrets are in %s. In config.toml, if it is not there yet:\n\n", i.file)
		i.c.printf("[webhook]\nsecrets_file = %q\n\nRestart the daemon to have it listen.\n", i.file)
		return nil
	}
	i.c.printf("\nThe signing secrets. They go into config.toml; restart the daemon to have it listen:\n\n")
	i.c.printf("[webhook]\nsecrets = [%q, %q]\n\n", all[0], all[1])
	i.c.printf("Or have them written to a file: run this again with --secrets-file FILE.\n")
	return nil
}

// writeSecrets replaces a file of secrets, one a line, by one that its owner
// alone can read; a kill leaves the old one or the new one.
func writeSecrets(file string, secrets []string) error {
	made, err := os.CreateTemp(filepath.Dir(file), ".secrets-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(made.Name()) //nolint:errcheck // it has been renamed, or is not worth a second error
	_, err = made.WriteString(strings.Join(secrets, "\n") + "\n")
	if err = errors.Join(err, made.Sync(), made.Close()); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return os.Rename(made.Name(), file)
}

func (i *installer) say(what, format string, args ...any) {
	if i.dry {
		what = "would " + what
	}
	i.c.printf("%-13s %s\n", what, fmt.Sprintf(format, args...))
}

func enumerated(subscriptions []string) string {
	if len(subscriptions) == 1 {
		return subscriptions[0]
	}
	return fmt.Sprintf("%d kinds of events of users and tickets", len(subscriptions))
}

// explained says what an admin can do about an error of Zendesk's.
func (i *installer) explained(what string, err error) error {
	var e *zendesk.Error
	if errors.As(err, &e) && (e.Class == zendesk.ClassForbidden || e.Class == zendesk.ClassAuth) {
		return fmt.Errorf("cannot %s: %w; webhooks and triggers are an admin's, and an OAuth client needs the scopes read and write", what, err)
	}
	return fmt.Errorf("cannot %s: %w", what, err)
}

// clientSettings are how Zendesk is asked by what the configuration says.
func clientSettings(cfg *config.Config) zendesk.Config {
	z := &cfg.Zendesk
	c := zendesk.Config{BaseURL: z.Origin(), RatePerMinute: z.RatePerMinute, UserAgent: "aniproxy/" + buildinfo.Version()}
	if z.Credentials() == config.OAuth {
		c.ClientID, c.ClientSecret = z.ClientID, z.ClientSecret.Reveal()
	} else {
		c.Email, c.APIToken = z.Email, z.APIToken.Reveal()
	}
	return c
}
