package app

import (
	"fmt"
	"io"
	"net"
	"time"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
)

// Settings are what can be chosen. The environment sets them, and then flags.
type Settings struct {
	Addr    string // where to listen
	Bedrock string // "fake" or "aws"

	// The models that clients call haiku and sonnet: ids, inference profiles or
	// ARNs.
	Haiku, Sonnet string

	Cache      string // of answers: "memory", "off" or the URL of a Redis
	Fallback   string // "other", "off", or models as MODEL or MODEL@REGION, with commas
	BudgetUSD  string // what models may cost in a day; empty for no bound
	DailyUSD   string // what they may cost for each caller in a day; empty for no bound
	Quota      string // tokens and requests a minute of each model, "5000000,10000"; empty for no bound
	QuotaStore string // where it is counted: "memory" or the URL of a Redis
	Guardrail  string // "ID:VERSION"; empty for none
	Sessions   string // of the REST API: "memory" or "dynamodb:TABLE"
	Products   string // and the catalogue: "embedded" or "dynamodb:TABLE"
	Enrichment string // of the catalogue, by chatserver nightly: a file or "s3:BUCKET/KEY"; empty for none
	Retriever  string // of the search by meaning: "memory", "opensearch:URL", "s3vectors:BUCKET/INDEX" or "pgvector:DSN"

	TPS  float64 // tokens a second of the offline model
	Keys string  // the file of the API keys that callers need

	// The keys and the tokens of an issuer that callers may have instead. JWKS may be
	// empty for an issuer that publishes it below /.well-known/jwks.json.
	APIKeys                      string // the content of a file of keys
	JWKS, JWTIssuer, JWTAudience string

	Origins string // of the pages that may call from a browser, with commas

	// Coalesce gathers an answer's text before it is sent over a WebSocket; zero means
	// the default of [socket.Options]. Limits changes what callers may do; nil leaves
	// it. Neither has a flag: both are for programs that build a server.
	Coalesce time.Duration
	Limits   func(*auth.LimitOptions)

	Gateway       string // the connections URL of an API Gateway that calls the WebSocket's routes
	GatewaySecret string // the file of the secret that it sends, or env: and a variable

	// What processes behind one address share: the answers on their way and the tickets
	// ("memory" or the URL of a Redis), and who is connected to the API Gateway
	// ("memory" or "dynamodb:TABLE").
	Shared, GatewayConnections string

	// Service is the name of this process in the metrics of CloudWatch, which are lines
	// of MetricLines; nil is the standard output. Without a name there are none.
	Service     string
	MetricLines io.Writer

	Jobs JobSettings

	// What a program of its own may put in the place of the store's: the catalogue, and
	// what plays the offline model. No flag sets them.
	Books   *catalog.Catalog
	Respond bedrocktest.Responder
}

// books are those of the store.
func (s Settings) books() *catalog.Catalog {
	if s.Books != nil {
		return s.Books
	}
	return catalog.Default()
}

// FromEnv returns the settings of an environment, as deploy/README.md lists its
// variables. What is not set, or empty, has its default: a server for this machine
// alone, with the offline model.
func FromEnv(getenv func(string) string) Settings {
	s := Settings{
		Addr: "127.0.0.1:8080", Bedrock: "fake", TPS: 60,
		Haiku: "us.anthropic.claude-haiku-4-5-20251001-v1:0", Sonnet: "us.anthropic.claude-sonnet-4-6",
		Cache: "memory", Fallback: "other", QuotaStore: "memory", Sessions: "memory", Products: "embedded", Retriever: "memory",
		Shared: inMemory, GatewayConnections: inMemory,
		Jobs: jobsFromEnv(getenv),
	}
	for name, field := range map[string]*string{
		"MANGA_BEDROCK":      &s.Bedrock,
		"MANGA_HAIKU":        &s.Haiku,
		"MANGA_SONNET":       &s.Sonnet,
		"MANGA_API_KEYS":     &s.APIKeys,
		"MANGA_JWT_ISSUER":   &s.JWTIssuer,
		"MANGA_JWT_AUDIENCE": &s.JWTAudience,
		"MANGA_SERVICE":      &s.Service,
		"MANGA_ORIGINS":      &s.Origins,
	} {
		if value := getenv(name); value != "" {
			*field = value
		}
	}
	for name, field := range map[string]*string{
		"MANGA_SESSIONS_TABLE": &s.Sessions, "MANGA_PRODUCTS_TABLE": &s.Products, "MANGA_CONNECTIONS_TABLE": &s.GatewayConnections,
	} {
		if table := getenv(name); table != "" {
			*field = "dynamodb:" + table
		}
	}
	if address := getenv("MANGA_REDIS_ADDR"); address != "" {
		address = "rediss://" + address + "?cluster=true" // ElastiCache Serverless has TLS, and is a cluster
		s.Cache, s.QuotaStore, s.Shared = address, address, address
	}
	switch kind := getenv("MANGA_RETRIEVER"); kind {
	case "":
	case "opensearch":
		s.Retriever = kind + ":" + getenv("MANGA_OPENSEARCH_ENDPOINT") + "/" + getenv("MANGA_VECTOR_INDEX")
	case "s3vectors":
		s.Retriever = kind + ":" + getenv("MANGA_VECTOR_BUCKET") + "/" + getenv("MANGA_VECTOR_INDEX")
	default:
		s.Retriever = kind
	}
	return s
}

// Check says what cannot be.
func (s Settings) Check() error {
	switch {
	case s.open() && s.Jobs.Role != roleWorker && !loopback(s.Addr):
		return fmt.Errorf("-addr is %q; without -keys or -jwt-issuer the server listens on loopback addresses only, such as 127.0.0.1:8080", s.Addr)
	case s.Bedrock != "fake" && s.Bedrock != "aws":
		return fmt.Errorf("-bedrock or MANGA_BEDROCK is %q; it is fake or aws", s.Bedrock)
	case s.TPS <= 0:
		return fmt.Errorf("-tps is %g; it must be more than 0", s.TPS)
	}
	if err := s.Jobs.check(s.Bedrock); err != nil {
		return err
	}
	return s.checkAccess()
}

// loopback reports whether a host and port can be reached from this machine
// alone.
func loopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
