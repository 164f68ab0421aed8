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
