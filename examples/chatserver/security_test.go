package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a reviewer of the security of a chat server asks for, and the tests that hold
// it: a file and the name of the test, or of the test in Chromium.
var security = []struct {
	must  string
	tests []string
}{
	{"a foreign or null Origin is refused with 403", []string{
		"server_test.go TestForeignOriginIsRefused", "server_test.go TestForeignPagesAreRefused", "access_test.go TestOrigins", "socket/gateway_test.go TestGatewayRefuses"}},
	{"a WebSocket is let in before it opens, by a ticket that is good once, and for no request; no key in a URL", []string{
		"server_test.go TestKeys", "auth/auth_test.go TestTickets", "auth/auth_test.go TestTicketIsForAConnection", "auth/auth_test.go TestGate", "access_test.go TestTokens"}},
	{"Content-Security-Policy, nosniff, no frames", []string{"server_test.go TestPage"}},
	{"answers that attack the page open no dialog and send no request", []string{
		"e2e/markdown.test.js never builds anything that loads or runs, and loses no letter", "e2e/corpus.test.js as questions, answers and names of conversations",
		"e2e/corpus.test.js as the input and the results of tools", "e2e/corpus.test.js as the catalogue, and as results of jobs"}},
	{"a frame that is too long closes with 1009, a body that is too long is 413", []string{
		"server_test.go TestFramesThatCloseTheConnection", "server_test.go TestBadFramesAreRefusedAndTheOthersLiveOn", "rest/api_test.go TestRefused"}},
	{"text that is not UTF-8 closes with 1007", []string{"server_test.go TestFramesThatCloseTheConnection", "socket/gateway_test.go TestGateway"}},
	{"a slow reader is dropped, and the model goes on until a stop or the grace period", []string{
		"app/serve_test.go TestSlowReader", "socket/gateway_test.go TestGatewayGrace", "socket/gateway_test.go TestGatewayConnectionGone", "server_test.go TestAnswerOutlivesItsConnection"}},
	{"rates of a key, then of an address, on messages too: 429 with Retry-After, in bounded memory", []string{
		"contract_test.go TestContractOfRates", "server_test.go TestKeys", "auth/auth_test.go TestLimits", "auth/auth_test.go TestAddressLimit", "auth/auth_test.go TestLimitsTakeBoundedMemory"}},
	{"answers and WebSockets at once, and dollars a day, of a key", []string{"access_test.go TestAnswersAtOnce", "auth/auth_test.go TestSockets", "access_test.go TestSocketsAtOnce", "access_test.go TestDailyDollars", "auth/auth_test.go TestDailyDollars"}},
	{"time limits on headers, bodies, idle connections, pings and whole answers; none on the writes of a live answer", []string{
		"app/serve_test.go TestSlowClients", "app/serve_test.go TestPing", "app/serve_test.go TestAnswersHaveATotalTime", "app/serve_test.go TestLongAnswersAreNotCut"}},
	{"limits of prompts in characters, bytes and turns, before the model is asked", []string{
		"server_test.go TestBadFramesAreRefusedAndTheOthersLiveOn", "rest/api_test.go TestRefused", "contract_test.go TestContractOfREST"}},
	{"Unicode: NFC, nothing that nobody sees; all that people write with stays", []string{"rest/api_test.go TestQuery", "socket/client_test.go TestTextIsCleaned"}},
	{"JSON with a name twice, too deep, or with something after it is refused", []string{"rest/api_test.go TestRefused", "socket/client_test.go TestJSONIsStrict"}},
	{"JWT: none, HS256 with the public key, another audience, expired, a flood of unknown keys", []string{
		"auth/jwt_test.go TestJWTRefused", "auth/jwt_test.go TestJWTUnknownKeys", "auth/jwt_test.go TestJWTKeysChange", "access_test.go TestTokens", "socket/client_test.go TestExpiredCaller"}},
	{"a key that is revoked ends its tickets, and the messages over connections that are open", []string{"auth/auth_test.go TestRevokedKey"}},
	{"API keys are stored as SHA-256; the log has their public part alone", []string{"auth/auth_test.go TestKeys", "canary_test.go TestNothingOfTheCallersIsKept"}},
	{"another caller's session, analysis or answer is not there", []string{"server_test.go TestKeys", "socket/client_test.go TestAnswersAreTheirCallers"}},
	{"questions, answers and secrets are in no log, metric or error, panics included", []string{
		"canary_test.go TestNothingOfTheCallersIsKept", "rest/api_test.go TestPanicIsAnError", "socket/client_test.go TestPanicIsAnError"}},
	{"arguments of tools are checked", []string{"shop/shop_test.go TestSearchMangaCatalog", "shop/shop_test.go TestErrorsSayWhatIsRight", "shop/shop_test.go TestSchemas"}},
	{"errors have a request id, and no word of AWS's", []string{"errors_test.go TestLogSaysWhatToDo", "rest/api_test.go TestErrorsOfTheModel", "contract_test.go TestContractOfREST"}},
	{"nothing listens beyond the machine, and no model costs money, without a flag", []string{
		"access_test.go TestNothingIsSharedByDefault", "server_test.go TestFlagsThatCanNotBe", "e2e/chat.test.js says that the model is the offline one"}},
	{"a callback to an address that is not public is refused, also by name, redirect and rebinding", []string{
		"jobs/callbacks_test.go TestCallbackURLs", "../../asyncq/webhook/send_test.go TestRebinding"}},
	{"callbacks are signed", []string{"jobs/callbacks_test.go TestCallbacks", "jobs/callbacks_test.go TestSecrets"}},
	{"a server that is stopped ends in time; what it has not done is done by another", []string{
		"app/serve_test.go TestStopDuringAnswers", "server_test.go TestProgram", "socket/gateway_test.go TestGatewayClose", "../../asyncq/async_test.go TestDrainIsBounded"}},
	{"an API Gateway's routes take requests of the API Gateway alone", []string{"socket/gateway_test.go TestGatewayRefuses", "access_test.go TestAccessFlagsThatCanNotBe"}},
}

// Each test of the list is there.
func TestSecurityIsTested(t *testing.T) {
	for _, line := range security {
		require.NotEmpty(t, line.tests, line.must)
		for _, test := range line.tests {
			file, name, _ := strings.Cut(test, " ")
			text, err := os.ReadFile(filepath.FromSlash(file))
			require.NoError(t, err, line.must)
			form := `(?m)^func ` + name + `\(t \*testing\.T\)`
			if strings.HasSuffix(file, ".js") {
				form = `(?m)^\s*test\("` + regexp.QuoteMeta(name) + `"`
			}
			assert.Regexp(t, form, string(text), line.must)
		}
	}
}
