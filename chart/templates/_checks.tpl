{{/* Values that are each allowed and together make no sense: the render stops, with a sentence. */}}
{{- define "auth-service.checks" -}}
{{- $v := .Values -}}
{{- $redisUrl := or $v.redis.url $v.redis.secretKeys.url -}}
{{- if eq $v.store.type "memory" -}}
  {{- if gt (int $v.replicaCount) 1 }}{{ fail "replicaCount: each pod would have a memory store of its own and not know the others' tokens; more than one replica needs store.type: redis" }}{{ end -}}
  {{- if $v.autoscaling.enabled }}{{ fail "autoscaling.enabled: each pod would have a memory store of its own and not know the others' tokens; autoscaling needs store.type: redis" }}{{ end -}}
  {{- if $v.keda.enabled }}{{ fail "keda.enabled: each pod would have a memory store of its own and not know the others' tokens; scaling needs store.type: redis" }}{{ end -}}
  {{- if and $v.updateStrategy.type (ne $v.updateStrategy.type "Recreate") }}{{ fail "updateStrategy: with the memory store a second pod would be a second, different store; the strategy must be Recreate" }}{{ end -}}
{{- end -}}
{{- if and $v.autoscaling.enabled $v.keda.enabled }}{{ fail "autoscaling.enabled and keda.enabled: two autoscalers would fight over the replicas; enable one of them" }}{{ end -}}
{{- range $name := list "autoscaling" "keda" -}}
  {{- $scaling := index $v $name -}}
  {{- if and $scaling.enabled (gt (int $scaling.minReplicas) (int $scaling.maxReplicas)) }}{{ fail (printf "%s: minReplicas is larger than maxReplicas" $name) }}{{ end -}}
{{- end -}}
{{- if and (include "auth-service.usesRedis" .) (not $v.devRedis.enabled) (not $redisUrl) }}{{ fail "redis.url: store.type or keys.source is redis, and there is no redis.url (and no redis.secretKeys.url); for development set devRedis.enabled" }}{{ end -}}
{{- if and $v.redis.secretKeys.url (not (include "auth-service.redisSecret" .)) }}{{ fail "redis.secretKeys.url: names an entry of a Secret, and redis.existingSecret names no Secret" }}{{ end -}}
{{- if and $v.redis.secretKeys.username (not (include "auth-service.redisSecret" .)) }}{{ fail "redis.secretKeys.username: names an entry of a Secret, and redis.existingSecret names no Secret" }}{{ end -}}
{{- if and $v.redis.secretKeys.username $v.redis.username }}{{ fail "redis.username and redis.secretKeys.username: both name the user; set one of them" }}{{ end -}}
{{- if and $v.redis.url $v.redis.secretKeys.url }}{{ fail "redis.url and redis.secretKeys.url: both name the server; set one of them" }}{{ end -}}
{{- if and $v.devRedis.enabled (or $redisUrl $v.redis.existingSecret) }}{{ fail "devRedis.enabled and redis.*: there would be two Redis; set redis.url, or enable devRedis, not both" }}{{ end -}}
{{- if and $v.devRedis.enabled (not (include "auth-service.usesRedis" .)) }}{{ fail "devRedis.enabled: nothing uses it; set store.type: redis" }}{{ end -}}
{{- if and $v.redis.url (not (include "auth-service.usesRedis" .)) }}{{ fail "redis.url: nothing uses it; set store.type: redis" }}{{ end -}}
{{- if and $v.redis.tls.clientCertificate (not $v.redis.tls.existingSecret) }}{{ fail "redis.tls.clientCertificate: needs redis.tls.existingSecret, the Secret that holds tls.crt and tls.key" }}{{ end -}}
{{- if and (eq $v.keys.source "redis") (not (include "auth-service.kekSecret" .)) }}{{ fail "keys.source: redis keeps sealed keys only; keys.kek.existingSecret must name a Secret with the key-encryption key" }}{{ end -}}
{{- if and (eq $v.keys.source "redis") $v.keys.existingSecret }}{{ fail "keys.existingSecret: the keys are in Redis (keys.source: redis); set one of the two" }}{{ end -}}
{{- if and (ne $v.issuer.url "") (hasSuffix "/" $v.issuer.url) }}{{ fail "issuer.url: must not end with a slash: tokens name the issuer, and verifiers compare it exactly" }}{{ end -}}
{{- if and $v.ingress.enabled (not $v.issuer.url) }}{{ fail "issuer.url: with ingress.enabled clients reach the service by another URL than the Service's; say which" }}{{ end -}}
{{- if and $v.httpRoute.enabled (not $v.issuer.url) }}{{ fail "issuer.url: with httpRoute.enabled clients reach the service by another URL than the Service's; say which" }}{{ end -}}
{{- if and $v.ingress.enabled (not $v.ingress.hosts) }}{{ fail "ingress.hosts: an Ingress without a host takes every host's requests; name at least one" }}{{ end -}}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parentRefs) }}{{ fail "httpRoute.parentRefs: an HTTPRoute belongs to a Gateway; name at least one" }}{{ end -}}
{{- if and $v.metrics.serviceMonitor.enabled $v.metrics.podMonitor.enabled }}{{ fail "metrics.serviceMonitor and metrics.podMonitor: every pod would be scraped twice; enable one of them" }}{{ end -}}
{{- if and $v.externalSecrets.enabled (not $v.externalSecrets.storeRef.name) }}{{ fail "externalSecrets.storeRef.name: names no store" }}{{ end -}}
{{- range $purpose, $existing := dict "redis" $v.redis.existingSecret "clients" $v.clients.existingSecret "kek" $v.keys.kek.existingSecret "admin" $v.admin.existingSecret -}}
  {{- if and $v.externalSecrets.enabled (index $v.externalSecrets.remoteKeys $purpose) $existing }}{{ fail (printf "externalSecrets.remoteKeys.%s: there is an existingSecret for the same purpose; set one of the two" $purpose) }}{{ end -}}
{{- end -}}
{{- if and $v.demoClient.enabled (not $v.bootstrap.enabled) }}{{ fail "demoClient.enabled: the bootstrap Job makes this client; set bootstrap.enabled" }}{{ end -}}
{{- if and $v.tests.enabled (not $v.bootstrap.enabled) (not $v.tests.existingSecret) }}{{ fail "tests.existingSecret: without the bootstrap Job nobody makes the client of helm test; name a Secret, or set tests.enabled: false" }}{{ end -}}
{{- if and $v.loadTest.enabled (not $v.bootstrap.enabled) (not $v.loadTest.existingSecret) }}{{ fail "loadTest.existingSecret: without the bootstrap Job nobody makes the client of the load test; name a Secret" }}{{ end -}}
{{- if and $v.loadTest.enabled (eq $v.loadTest.scenario "hot-client") (not $v.bootstrap.enabled) (not $v.loadTest.hotClient.existingSecret) }}{{ fail "loadTest.hotClient.existingSecret: without the bootstrap Job nobody makes the client that meets its limit; name a Secret" }}{{ end -}}
{{- if and $v.loadTest.enabled $v.loadTest.operator.enabled (not $v.loadTest.runId) }}{{ fail "loadTest.runId: loadTest.operator.enabled starts a run, which needs a name that no earlier one had, such as 2026-05-04-a" }}{{ end -}}
{{- if and $v.loadTest.runId (not $v.loadTest.operator.enabled) }}{{ fail (printf "loadTest.runId: an upgrade starts no run, so leave it empty; the run is: kubectl create job %s --from=cronjob/%s" $v.loadTest.runId (include "auth-service.object" (list . "load-test"))) }}{{ end -}}
{{- if and (include "auth-service.loadTestReadsMetrics" .) (or (ne (int $v.replicaCount) 1) $v.autoscaling.enabled $v.keda.enabled (ne $v.store.type "redis")) }}{{ fail "loadTest.scenario: uniform is proved by the counters of the cache of one pod, which it has in front of Redis; set replicaCount: 1 without autoscaling, and store.type: redis" }}{{ end -}}
{{- /* What the chart is ready for and the service is not yet. */ -}}
{{- if and $v.loadTest.calibration.enabled $v.loadTest.calibrationUrl }}{{ fail "loadTest.calibrationUrl and loadTest.calibration.enabled: k6 is measured against one server; set one of the two" }}{{ end -}}
{{- if and $v.loadTest.operator.enabled $v.loadTest.calibration.enabled }}{{ fail "loadTest.calibration.enabled: k6-operator's pods have no sidecar; name a server in loadTest.calibrationUrl" }}{{ end -}}
{{- if le (int $v.terminationGracePeriodSeconds) (int $v.server.drainSeconds) }}{{ fail "terminationGracePeriodSeconds: must be longer than server.drainSeconds, or requests in flight are cut off" }}{{ end -}}
{{- if and (not $v.serviceAccount.create) (not $v.serviceAccount.name) }}{{ fail "serviceAccount.name: with serviceAccount.create: false there must be a name, or all pods get the namespace's default account" }}{{ end -}}
{{- if and $v.service.nodePort (eq $v.service.type "ClusterIP") }}{{ fail "service.nodePort: a Service of type ClusterIP has none" }}{{ end -}}
{{- if and $v.podDisruptionBudget.enabled (eq (toString $v.podDisruptionBudget.maxUnavailable) "0") }}{{ fail "podDisruptionBudget.maxUnavailable: 0 blocks every drain of a node" }}{{ end -}}
{{- if and (eq (toString $v.rateLimit.backend) "redis") (ne $v.store.type "redis") }}{{ fail "rateLimit.backend: redis needs store.type: redis" }}{{ end -}}
{{- $own := list -}}
{{- range (include "auth-service.serviceEnv" . | fromYamlArray) }}{{ $own = append $own .name }}{{ end -}}
{{- range $v.extraEnv -}}
  {{- if has .name $own }}{{ fail (printf "extraEnv: %s is set by the chart already; use the value that it comes from" .name) }}{{ end -}}
{{- end -}}
{{- end -}}
