"""The mixtures of a run, from a regmix controller: paste the class into a training loop."""
import json
import sys
import urllib.error
import urllib.request


class Online:
    def __init__(self, url="http://127.0.0.1:7070", token=""):
        self.url, self.headers = url, {"Authorization": f"Bearer {token}"} if token else {}

    def observe(self, step, losses):
        """Report validation losses, {domain: nats per token}; the mixture to switch to, or None."""
        losses = {name: loss if loss == loss else None for name, loss in losses.items()}  # No NaN in JSON.
        body = json.dumps({"step": step, "losses": losses}).encode()
        request = urllib.request.Request(self.url + "/observe", body, self.headers)
        try:
            answer = json.load(urllib.request.urlopen(request, timeout=60))
        except (urllib.error.URLError, TimeoutError) as error:
            print("kept the mixture:", error, file=sys.stderr)  # Training continues.
            return None
        return answer["mixture"] if answer["switch"] else None


if __name__ == "__main__":
    online = Online(*sys.argv[1:])
    for step in range(50, 1001, 50):  # In a loop of your own: train, validate, then this.
        weights = online.observe(step, {f"d{i}": 3.0 - 0.5 * step / 1000 for i in range(3)})
        if weights is not None:
            print(step, json.dumps(weights))
