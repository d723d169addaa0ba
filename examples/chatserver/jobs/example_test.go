package jobs_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/mangaassist/bedrockkit/asyncq/webhook"
)

// Who gets callbacks verifies them so. README.md shows the same lines.
func Example_receiver() {
	os.Setenv("CALLBACK_SECRET", webhook.NewSecret()) // GET /v1/manga/callback-secret
	defer os.Unsetenv("CALLBACK_SECRET")

	done := func(w http.ResponseWriter, r *http.Request) {
		var event webhook.Event
		if err := json.NewDecoder(r.Body).Decode(&event); err != nil {
			http.Error(w, "this is no event", http.StatusBadRequest)
			return
		}
		// webhook.ID(r.Context()) is the same for each attempt: use an id once.
		fmt.Println(event.Data.RequestID, "is", event.Data.Status)
	}
	receiver, err := webhook.NewReceiver(http.HandlerFunc(done), []string{os.Getenv("CALLBACK_SECRET")})
	if err != nil {
		panic(err)
	}

	forged := httptest.NewRequest("POST", "/done", nil)
	forged.Header.Set("webhook-id", "msg_1")
	forged.Header.Set("webhook-timestamp", "1796014821")
	forged.Header.Set("webhook-signature", "v1,bm90IHNpZ25lZA==")
	answer := httptest.NewRecorder()
	receiver.ServeHTTP(answer, forged)
	fmt.Println(answer.Code)
	// Output: 401
}
