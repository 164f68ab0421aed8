{{- define "peacewatch.name" -}}
{{- if contains "peacewatch" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-peacewatch" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "peacewatch.labels" -}}
app.kubernetes.io/name: peacewatch
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "peacewatch.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "peacewatch.name" .) }}
{{- end }}

{{- /* The image of a role: registry/peacewatch-role:tag. Takes a list of the root and the role. */ -}}
{{- define "peacewatch.image" -}}
{{- $root := index . 0 }}{{ $role := index . 1 -}}
{{- with $root.Values.image.registry }}{{ . }}/{{ end }}peacewatch-{{ $role }}:{{ $root.Values.image.tag | default $root.Chart.AppVersion }}
{{- end }}

{{- /* What every container of Airflow has in common. */ -}}
{{- define "peacewatch.airflowContainer" -}}
image: {{ include "peacewatch.image" (list . "airflow") | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
envFrom:
  - configMapRef: {name: {{ include "peacewatch.name" . }}}
env:
  - {name: PEACEWATCH_HOME, value: /var/lib/peacewatch}
  - {name: PEACEWATCH_SPARK_MASTER, value: {{ .Values.airflow.sparkMaster | quote }}}
  - {name: AIRFLOW__CORE__EXECUTION_API_SERVER_URL, value: "http://127.0.0.1:18080/execution/"}
  {{- with .Values.airflow.url }}
  - {name: AIRFLOW__API__BASE_URL, value: {{ . | quote }}}
  {{- end }}
  {{- include "peacewatch.secretVariables" (list . .Values.airflow.secrets "airflow") | nindent 2 }}
{{ include "peacewatch.containerSecurity" . }}
volumeMounts:
  - {name: home, mountPath: /var/lib/peacewatch}
  - {name: tmp, mountPath: /tmp}
  - {name: secrets, mountPath: /run/secrets/peacewatch, readOnly: true}
{{- end }}

{{- /* Settings that are files themselves: their variable has no _FILE at its end. */ -}}
{{- define "peacewatch.fileSettings" -}}
PEACEWATCH_DRONE_REGISTER PEACEWATCH_KAFKA_CA PEACEWATCH_KAFKA_CERTIFICATE PEACEWATCH_KAFKA_KEY PEACEWATCH_RULES PEACEWATCH_STATIONS
{{- end }}

{{- /* Variables that name the files of secrets. Takes a list of the root, the keys, and who wants them. */ -}}
{{- define "peacewatch.secretVariables" -}}
{{- $root := index . 0 }}{{ $wants := index . 2 -}}
{{- range $key := index . 1 }}
{{- $setting := required (printf "secret.keys has no %s, which %s wants" $key $wants) (get $root.Values.secret.keys $key) }}
- name: {{ $setting }}{{ if not (has $setting (splitList " " (include "peacewatch.fileSettings" $root))) }}_FILE{{ end }}
  value: /run/secrets/peacewatch/{{ $key }}
{{- end }}
{{- end }}

{{- /* The volume of these files. Takes a list of the root and the keys. */ -}}
{{- define "peacewatch.secretVolume" -}}
{{- $root := index . 0 -}}
- name: secrets
  secret:
    secretName: {{ $root.Values.secret.name }}
    defaultMode: 0440
    items:
      {{- range index . 1 }}
      - {key: {{ . }}, path: {{ . }}}
      {{- end }}
{{- end }}

{{- /* Who a pod is, and what pulls its images. */ -}}
{{- define "peacewatch.podIdentity" -}}
serviceAccountName: {{ include "peacewatch.serviceAccount" . }}
automountServiceAccountToken: false
# Else a Service called peacewatch-airflow or peacewatch-kafka would set PEACEWATCH_AIRFLOW_PORT=tcp://… in every pod.
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "peacewatch.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}
