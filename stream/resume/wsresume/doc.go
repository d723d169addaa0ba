// Package wsresume serves answers over WebSockets. A client can lose its connection
// and open it again, and the model is not asked again; see package resume.
//
//	http.Handle("GET /answers/{id}/socket", wsresume.Handler(registry, func(w http.ResponseWriter, r *http.Request) (resume.Answer, bool) {
//		id := r.PathValue("id")
//		if !owns(r, id) {
//			http.Error(w, "not found", http.StatusNotFound)
//			return resume.Answer{}, false
//		}
//		return resume.Answer{ID: id}, true
//	}))
//
// It uses github.com/coder/websocket. For another library, use [resume.Registry.Read].
package wsresume
